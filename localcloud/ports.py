"""The ports that the parts listen on: the usual ones, or free ones where those are taken."""

import contextlib
import fcntl
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
"""Nothing here is meant for other machines."""

WEB: Final = 8000
MINISTACK: Final = 4566
RENDERER: Final = 4570


def choose_port(usual: int) -> int:
    """Return ``usual`` if nobody listens there, else a port that the system says is free."""
    for port in (usual, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            # As servers do, so that a connection that is still closing down doesn't count as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError(f"no port is free on {HOST}")


@contextlib.contextmanager
def held_choice() -> Iterator[None]:
    """Keep other checkouts of this user from choosing ports until those chosen here are listened to."""
    path = Path(tempfile.gettempdir()) / f"renderhub-ports-{os.getuid()}.lock"
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def bypass_proxies() -> None:
    """Have this process and its children reach what is on this machine without a proxy."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), HOST, "localhost")))


def wait_until_listening(port: int, *, timeout_s: float) -> bool:
    """Return whether somebody accepts connections at ``port`` before the time is over."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return True
        time.sleep(0.02)
    return False

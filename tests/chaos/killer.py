"""Kills the worker that has sent a request: the process of MiniStack's Lambda at the other end."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

from tests.chaos.ledger import Ledger

# In /proc/net/tcp: 127.0.0.1, in the byte order of this machine.
_LOCALHOST = "0100007F"


class Killer:
    """SIGKILL for workers, and for nothing else.

    Args:
        ledger: counts the kills.
        mark: what the environment of every process of this run has, as ``NAME=value``.
    """

    def __init__(self, ledger: Ledger, mark: str) -> None:
        self._ledger = ledger
        self._mark = mark.encode()

    def kill(self, client_port: int) -> bool:
        """Kill the worker that has a connection from this port, and tell whether there was one."""
        pid = self._worker_at(client_port)
        return pid is not None and self._kill(pid)

    def kill_soon(self, client_port: int, *, after_s: float) -> None:
        """Kill the worker that has a connection from this port, whatever it does by then."""
        pid = self._worker_at(client_port)
        if pid is not None:
            asyncio.get_running_loop().call_later(after_s, self._kill, pid)

    def _kill(self, pid: int) -> bool:
        # It may have been killed already, and its number given to somebody else.
        if not self._is_worker(pid):
            return False
        os.kill(pid, signal.SIGKILL)
        self._ledger.kills += 1
        return True

    def _worker_at(self, client_port: int) -> int | None:
        address = f"{_LOCALHOST}:{client_port:04X}"
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        found = [line.split() for line in lines]
        inode = next((fields[9] for fields in found if fields[1] == address), None)
        if inode is None:
            return None
        for folder in Path("/proc").glob("[0-9]*"):
            pid = int(folder.name)
            if self._is_worker(pid) and f"socket:[{inode}]" in _descriptors(folder):
                return pid
        return None

    def _is_worker(self, pid: int) -> bool:
        folder = Path("/proc") / str(pid)
        with contextlib.suppress(OSError):
            return b"_worker.py" in (folder / "cmdline").read_bytes() and self._mark in (
                folder / "environ"
            ).read_bytes().split(b"\0")
        return False


def _descriptors(folder: Path) -> set[str]:
    links = set()
    with contextlib.suppress(OSError):
        for entry in (folder / "fd").iterdir():
            with contextlib.suppress(OSError):
                links.add(str(entry.readlink()))
    return links

"""Run the system, or the demo: ``python -m localcloud run|demo``.

Where ``DATABASE_URL`` is set, the records lie there, with the settings that ``DJANGO_SETTINGS_MODULE`` names.
"""

import os
import signal
import sys
from collections.abc import Mapping
from types import FrameType
from typing import NoReturn

from localcloud import ports
from localcloud.demo import run_demo
from localcloud.errors import LocalCloudError
from localcloud.paths import LOGS
from localcloud.system import running_system

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(database: Mapping[str, str]) -> None:
    """Keep the system up until a signal ends it, or one of its processes fails.

    Args:
        database: the variables that name another database than the checkout's own.

    Raises:
        LocalCloudError: a process failed.
    """
    print("Starting the system …", flush=True)
    with running_system(database=database) as system:
        print(
            f"\n  {system.address}\n\n"
            f"  sign in as  {system.demo.username} / {system.demo.password}\n"
            f"  logs        {LOGS}\n"
            "  Ctrl-C stops it\n",
            flush=True,
        )
        system.wait_for_failure()


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    # Once: while everything is being stopped, a second signal must not leave something behind.
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    # Not print, which may be what was interrupted.
    os.write(1, "\nStopping …\n".encode())
    raise KeyboardInterrupt


def _database() -> dict[str, str]:
    names = ("DATABASE_URL", "DJANGO_SETTINGS_MODULE") if os.environ.get("DATABASE_URL") else ()
    return {name: os.environ[name] for name in names if name in os.environ}


def main() -> int:
    """Return the exit code. Ctrl-C and SIGTERM are how the system is meant to end, but cut the demo short."""
    command = {"run": run, "demo": run_demo}.get(" ".join(sys.argv[1:]))
    if command is None:
        print("usage: python -m localcloud run|demo", file=sys.stderr)
        return 2
    for each in _SIGNALS:
        signal.signal(each, _interrupt)
    ports.bypass_proxies()
    try:
        command(_database())
    except LocalCloudError as error:
        print(f"renderhub: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if command is run else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

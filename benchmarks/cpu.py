"""How much processor time processes have used, read from ``/proc`` (Linux)."""

import contextlib
import os
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def cpu_seconds(root: int) -> float:
    """Return the seconds of user and system time of a process and all its descendants.

    Those that have ended count as soon as their parent has waited for them.
    """
    usage = _read_all()
    total, waiting = 0.0, [root]
    while waiting:
        pid = waiting.pop()
        if pid in usage:
            total += usage[pid][1]
        waiting += [child for child, (parent, _) in usage.items() if parent == pid]
    return total


def _read_all() -> dict[int, tuple[int, float]]:
    """Return each process's parent, and its own seconds with those of the children it has waited for."""
    usage = {}
    for folder in Path("/proc").glob("[0-9]*"):
        # It has ended in the meantime.
        with contextlib.suppress(OSError):
            # The name, in parentheses, may hold anything.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            ticks = sum(int(field) for field in fields[11:15])
            usage[int(folder.name)] = (int(fields[1]), ticks / _TICKS_PER_S)
    return usage

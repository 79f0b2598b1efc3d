"""What processes have used of the machine, read from ``/proc`` (Linux)."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Usage:
    parent: int
    cpu_s: float
    memory_bytes: int


class OtherProcesses:
    """All but this process and its descendants, watched from now on."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._before_s = self._cpu_s()

    def busy_processors(self) -> float:
        """Return how many processors they have kept busy, on average."""
        return (self._cpu_s() - self._before_s) / (time.monotonic() - self._since)

    @staticmethod
    def _cpu_s() -> float:
        with Path("/proc/stat").open() as file:
            # user, nice, system, idle, iowait, irq, softirq, steal; what guests use is part of user.
            ticks = [int(field) for field in file.readline().split()[1:9]]
        return (sum(ticks) - ticks[3] - ticks[4]) / _TICKS_PER_S - cpu_seconds(os.getpid())


def cpu_seconds(root: int) -> float:
    """Return the seconds of user and system time of a process and all its descendants.

    Those that have ended count as soon as their parent has waited for them.
    """
    return sum(usage.cpu_s for usage in _tree(root))


def memory_bytes(root: int) -> int:
    """Return the resident memory of a process and all its descendants."""
    return sum(usage.memory_bytes for usage in _tree(root))


def _tree(root: int) -> Iterator[_Usage]:
    all_usage = _read_all()
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        if pid in all_usage:
            yield all_usage[pid]
        waiting += [child for child, usage in all_usage.items() if usage.parent == pid]


def _read_all() -> dict[int, _Usage]:
    usage = {}
    for folder in Path("/proc").glob("[0-9]*"):
        # It has ended in the meantime.
        with contextlib.suppress(OSError):
            # The name, in parentheses, may hold anything. See proc(5).
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            usage[int(folder.name)] = _Usage(
                parent=int(fields[1]),
                # Its own, and those of the children it has waited for.
                cpu_s=sum(int(ticks) for ticks in fields[11:15]) / _TICKS_PER_S,
                memory_bytes=int(fields[21]) * _PAGE_BYTES,
            )
    return usage

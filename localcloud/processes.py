"""Child processes that never outlive the one that started them."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from localcloud.errors import LocalCloudError
from localcloud.paths import ROOT

_STOP_S: Final = 15.0
"""How long processes get to end by themselves, in seconds."""


class Process:
    """A child in a session of its own, whose output goes to a log file.

    On Linux it gets SIGTERM when the thread that started it ends, for whatever reason: start it from the main
    thread.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        log: Path,
        ready: str,
        on_exit: Callable[["Process"], None] = lambda process: None,
    ) -> None:
        """Describe the process.

        Args:
            name: what it is called in messages.
            command: the program and its arguments.
            environment: all of its environment.
            log: the file for its output, begun anew.
            ready: a regular expression; the first line of output that has it says that the process is ready.
            on_exit: called from another thread once the process has ended, for whatever reason.
        """
        self.name = name
        self.log = log
        self._command = [str(part) for part in command]
        self._environment = dict(environment)
        self._ready = re.compile(ready)
        self._on_exit = on_exit
        self._child: subprocess.Popen[bytes] | None = None
        self._settled = threading.Event()
        self._exited = threading.Event()
        self._match: re.Match[str] | None = None
        self._last_lines: deque[str] = deque(maxlen=3)

    def start(self) -> None:
        """Start the process without waiting for it to be ready."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        child = subprocess.Popen(
            _tied(self._command),
            cwd=ROOT,
            env=self._environment,
            # Held open: a child that reads its end knows that this process is gone, on every system.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._child = child
        reader = threading.Thread(target=self._copy_output, args=(child.stdout,), daemon=True)
        reader.start()
        threading.Thread(target=self._await_exit, args=(child, reader), daemon=True).start()

    def wait_until_ready(self, timeout_s: float) -> re.Match[str]:
        """Return the match of ``ready``.

        Raises:
            LocalCloudError: the process has ended, or wasn't ready in time.
        """
        self._settled.wait(timeout_s)
        if self._match is None:
            raise LocalCloudError(self.describe_failure(f"was not ready within {timeout_s:.0f} s"))
        return self._match

    def describe_failure(self, otherwise: str) -> str:
        """Say how the process ended, or ``otherwise`` where it still runs, and where its log is."""
        code = None if self._child is None else self._child.poll()
        what = otherwise if code is None else f"has ended unexpectedly ({_describe_exit(code)})"
        last = f": {self._last_lines[-1]}" if self._last_lines else ""
        return f"{self.name} {what}{last}\n  its log: {self.log}"

    @property
    def pid(self) -> int | None:
        """The process's id, or ``None`` before it is started."""
        return None if self._child is None else self._child.pid

    @property
    def running(self) -> bool:
        """Whether the process has been started and hasn't ended."""
        return self._child is not None and not self._exited.is_set()

    def terminate(self) -> None:
        """Ask the process to end."""
        if self.running and self._child is not None:
            self._child.terminate()

    def join(self, timeout_s: float) -> None:
        """Wait for the process to end, and kill it if it hasn't after ``timeout_s``."""
        if self._child is None:
            return
        if not self._exited.wait(timeout_s):
            _kill_group(self._child.pid)
            self._exited.wait()

    def _copy_output(self, output: IO[bytes]) -> None:
        with output, self.log.open("wb", buffering=0) as log:
            for line in output:
                log.write(line)
                text = line.decode(errors="replace").rstrip()
                if text:
                    self._last_lines.append(text)
                if self._match is None and (match := self._ready.search(text)):
                    self._match = match
                    self._settled.set()

    def _await_exit(self, child: subprocess.Popen[bytes], reader: threading.Thread) -> None:
        child.wait()
        # What it has started and not ended: nobody else will.
        _kill_group(child.pid)
        # Its last words; what has left the group may hold the pipe open for ever.
        reader.join(timeout=1)
        if child.stdin is not None:
            child.stdin.close()
        self._exited.set()
        self._settled.set()
        self._on_exit(self)


def stop(processes: Iterable[Process]) -> None:
    """End all of ``processes`` at the same time and return when none of them is left."""
    stopping = list(processes)
    for process in stopping:
        process.terminate()
    deadline = time.monotonic() + _STOP_S
    for process in stopping:
        process.join(max(0.0, deadline - time.monotonic()))


def kill_marked(name: str, value: str) -> None:
    """Kill every process that has inherited the environment variable ``name`` with ``value``; on Linux only.

    A browser leaves the session of the process that started it, and lives on when that one is killed.
    """
    entry = f"{name}={value}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        # It has ended in the meantime, or belongs to someone else.
        with contextlib.suppress(OSError):
            if int(folder.name) != os.getpid() and entry in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)


def _tied(command: list[str]) -> list[str]:
    if sys.platform != "linux":
        return command
    return [sys.executable, "-I", "-S", str(Path(__file__).with_name("tied.py")), str(os.getpid()), *command]


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _describe_exit(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

"""The Node service that stands in for Remotion's function and renders in a browser on this machine."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from localcloud.paths import RENDERER
from localcloud.ports import HOST
from localcloud.processes import Process, stop

FUNCTION_NAME: Final = "remotion-render-4-0-527-mem2048mb-disk10240mb-900sec"
"""The one name that the service answers to: its version, memory, disk and time limit, as Remotion has it."""


class Renderer:
    """A function named :data:`FUNCTION_NAME` that speaks Remotion's protocol."""

    def __init__(
        self,
        *,
        port: int,
        browser: Path,
        environment: Mapping[str, str],
        log: Path,
        on_exit: Callable[[Process], None] = lambda process: None,
    ) -> None:
        """Describe the service.

        Args:
            port: where it listens.
            browser: the browser's program.
            environment: where S3 is and the keys to it, and further settings of the service.
            log: the file for its output.
            on_exit: called once it has ended, for whatever reason.
        """
        self.endpoint = f"http://{HOST}:{port}"
        settings = {
            "PORT": str(port),
            "BROWSER_EXECUTABLE": str(browser),
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
        }
        self.process = Process(
            "the renderer",
            ["node", RENDERER / "src" / "main.mjs"],
            environment={**settings, **environment},
            log=log,
            ready=r'"event":\s*"listening"',
            on_exit=on_exit,
        )

    def start(self) -> None:
        """Start it without waiting for it to be ready."""
        self.process.start()

    def wait_until_ready(self) -> None:
        """Return once it answers."""
        self.process.wait_until_ready(timeout_s=60)

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_until_ready()
        except BaseException:
            stop([self.process])
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop([self.process])

"""Progress on a terminal as one moving line, and anywhere else as plain lines."""

import sys
from typing import Final, Self, TextIO

_WIDTH: Final = 32

# Where nothing can move, a line for each tenth is enough.
_PLAIN_STEP: Final = 0.1


class ProgressBar:
    """Shows how far something is, in a ``with`` block."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        """Write to ``stream``."""
        self._stream = stream
        self._moving = stream.isatty()
        self._shown: tuple[str, float] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._moving and self._shown is not None:
            self._stream.write("\n")

    def show(self, label: str, progress: float) -> None:
        """Show that ``label`` is under way and ``progress`` of it, from 0 to 1, is done."""
        if self._moving:
            done = round(progress * _WIDTH)
            bar = "█" * done + "░" * (_WIDTH - done)
            self._stream.write(f"\r  {label:<10} {bar} {progress:4.0%}")
        elif self._shown is None or label != self._shown[0] or progress >= self._shown[1] + _PLAIN_STEP:
            self._stream.write(f"  {label} {progress:.0%}\n")
        else:
            return
        self._stream.flush()
        self._shown = (label, progress)

import asyncio
import signal
from typing import Any

from django.core.management.base import BaseCommand

from exports import sweeper


class Command(BaseCommand):
    """Runs the sweeper as a process of its own."""

    help = "Send what is due and repair what was left behind, about once a second, until SIGTERM or Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until told to stop."""
        asyncio.run(_run())


async def _run() -> None:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    await sweeper.run(stop)

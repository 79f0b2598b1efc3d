"""The loop that does what is due. Any number of sweepers may run at once."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog
from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.utils import timezone

from exports import services
from exports.queue import get_queue
from notifications import services as notifications

log = structlog.get_logger(__name__)

INTERVAL_S: Final = 1.0


def sweep() -> None:
    """Do everything that is due now. A job that fails is logged, and the others still run."""
    queue = get_queue()
    jobs: dict[str, Callable[[datetime], object]] = {
        "handle_due": lambda now: services.handle_due(queue=queue, now=now),
        "mend_line": lambda now: services.mend_line(queue=queue, now=now),
        "notify_left_over": lambda now: services.notify_left_over(now=now),
        "send_deliveries": lambda now: notifications.send_due(now=now),
    }
    close_old_connections()
    for name, job in jobs.items():
        try:
            job(timezone.now())
        except Exception:
            log.exception("sweeper.failed", job=name)
    close_old_connections()


async def run(stop: asyncio.Event) -> None:
    """Sweep about once a second until ``stop`` is set."""
    log.info("sweeper.started", interval_s=INTERVAL_S)
    while not stop.is_set():
        await sync_to_async(sweep)()
        try:
            await asyncio.wait_for(stop.wait(), INTERVAL_S)
        except TimeoutError:
            continue

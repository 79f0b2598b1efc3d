"""The loop that does what is due. Any number of sweepers may run at once."""

import asyncio
import itertools
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone

from exports import services
from exports.dead_letters import get_dead_letters
from exports.queue import get_queue
from notifications import services as notifications

log = structlog.get_logger(__name__)

INTERVAL_S: Final = 1.0

DEAD_LETTERS_EVERY: Final = 30
"""In how many turns the dead letters are looked at once: a look costs a request, and nothing waits for it."""


def sweep(turn: int = 0) -> None:
    """Do everything that is due now. A job that fails is logged, and the others still run.

    Args:
        turn: how many sweeps this process has made before; the first does everything.
    """
    queue = get_queue()
    jobs: dict[str, Callable[[datetime], object]] = {
        "handle_due": lambda now: services.handle_due(queue=queue, now=now),
        "mend_line": lambda now: services.mend_line(queue=queue, now=now),
        "notify_left_over": lambda now: services.notify_left_over(now=now),
        "send_deliveries": lambda now: notifications.send_due(now=now),
    }
    if settings.REMOTION_SQS_DLQ_URL and turn % DEAD_LETTERS_EVERY == 0:
        jobs["handle_dead_letters"] = lambda now: services.handle_dead_letters(
            letters=get_dead_letters(), queue=queue, now=now
        )
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
    for turn in itertools.count():
        if stop.is_set():
            return
        await sync_to_async(sweep)(turn)
        try:
            await asyncio.wait_for(stop.wait(), INTERVAL_S)
        except TimeoutError:
            continue

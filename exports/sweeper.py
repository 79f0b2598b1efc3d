"""The loop that does what is due. Any number of sweepers may run at once."""

import asyncio
import contextlib
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
from renderhub.tokens import forget_expired_tokens

log = structlog.get_logger(__name__)

INTERVAL_S: Final = 1.0

RARE_EVERY: Final = 30
"""In how many turns one looks at what nobody waits for: keys, and dead letters, which cost a request."""


def sweep(turn: int = 0) -> None:
    """Do everything that is due now. A job that fails is logged, and the others still run.

    Args:
        turn: how many sweeps this process has made before; the first does everything.
    """
    queue = get_queue()
    jobs: dict[str, Callable[[datetime], object]] = {
        "handle_due": lambda now: services.handle_due(queue=queue, now=now),
        "release_batches": lambda now: services.release_batches(now=now),
        "mend_line": lambda now: services.mend_line(queue=queue, now=now),
        "notify_left_over": lambda now: services.notify_left_over(now=now),
    }
    if settings.REMOTION_SQS_DLQ_URL and turn % RARE_EVERY == 0:
        jobs["handle_dead_letters"] = lambda now: services.handle_dead_letters(
            letters=get_dead_letters(), queue=queue, now=now
        )
    if settings.OUTPUT_RETENTION_DAYS:
        jobs["delete_expired_outputs"] = lambda now: services.delete_expired_outputs(now=now)
    if turn % RARE_EVERY == 0:
        jobs["forget_expired_tokens"] = lambda now: forget_expired_tokens(now=now)
        jobs["forget_keys"] = lambda now: services.forget_keys(now=now)
        jobs["delete_uncommitted_batches"] = lambda now: services.delete_uncommitted_batches(now=now)
    close_old_connections()
    for name, job in jobs.items():
        try:
            job(timezone.now())
        except Exception:
            log.exception("sweeper.failed", job=name)
    close_old_connections()


def deliver() -> bool:
    """Send the notification that is due the longest, and tell whether there was one."""
    close_old_connections()
    try:
        return notifications.send_due(now=timezone.now(), limit=1) > 0
    except Exception:
        log.exception("sweeper.failed", job="send_due")
        return False
    finally:
        close_old_connections()


async def run(stop: asyncio.Event) -> None:
    """Sweep about once a second until ``stop`` is set, and send notifications beside that."""
    log.info("sweeper.started", interval_s=INTERVAL_S)
    await asyncio.gather(_sweep_until(stop), _deliver_until(stop))


async def _sweep_until(stop: asyncio.Event) -> None:
    for turn in itertools.count():
        if stop.is_set():
            return
        await sync_to_async(sweep)(turn)
        await _pause(stop)


async def _deliver_until(stop: asyncio.Event) -> None:
    # In a thread of its own, so that a slow mail server keeps nobody's render waiting; and one at a time, so
    # that each claim counts from the moment at which it is made.
    send = sync_to_async(deliver, thread_sensitive=False)
    while not stop.is_set():
        if not await send():
            await _pause(stop)


async def _pause(stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), INTERVAL_S)

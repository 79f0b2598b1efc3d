"""Who may render now, and who is next.

Whoever may render holds a slot: two unique columns of its row, so that no race can give out more than the
limits allow, and the end of an export gives both back in the same update. The line turns by users: only the
first of each user's waiting exports stands in it, since the moment at which it became the first.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError
from django.db.models import Count

from exports.models import ExportRequest, Pause
from exports.queue import MessageQueue
from exports.services.messages import send_starts
from exports.services.moves import move
from exports.states import Event, Status

log = structlog.get_logger(__name__)


def free_place(user_id: Any, *, now: datetime) -> dict[str, Any] | None:
    """Return the columns that let a new export of this user render at once.

    ``None`` where somebody waits, no slot is free, or renders are paused. What it returns is no promise:
    writing it fails with an IntegrityError where somebody was quicker.
    """
    if Pause.objects.exists() or ExportRequest.objects.line().exists():
        return None
    places = _Places.read()
    if not places.free or user_id in places.full_users:
        return None
    return places.columns(user_id, now=now)


def look(user_id: Any, *, now: datetime) -> None:
    """Put the first of a user's waiting exports in the line, where none of them stands in it.

    Whoever adds a waiting export, or takes one out, calls this afterwards; the sweeper does it for what a
    crash left between.
    """
    lane = ExportRequest.objects.waiting().filter(user_id=user_id)
    if lane.filter(rank__isnull=False).exists():
        return
    first = lane.values_list("pk", "version").first()
    if first is not None:
        # One that has moved meanwhile was moved by somebody who looks too.
        pk, version = first
        ExportRequest.objects.filter(
            pk=pk, version=version, status=Status.PENDING, slot=None, rank=None
        ).update(rank=now)


def admit(*, queue: MessageQueue, now: datetime) -> int:
    """Give free slots to the first in line until no slot is free or nobody waits, and send their messages.

    It runs after everything that frees a slot or adds a waiting export, and in the sweeper. It returns how
    many exports it has let render.
    """
    admitted: list[ExportRequest] = []
    while not Pause.objects.exists():
        export = _admit_one(now=now)
        if export is None:
            break
        admitted.append(export)
    if admitted:
        send_starts(admitted, queue=queue)
    return len(admitted)


def look_at_all(*, now: datetime) -> None:
    """Put the first waiting export in the line for every user who has none there."""
    left = (
        ExportRequest.objects.filter(status=Status.PENDING, slot=None)
        .values("user_id")
        .annotate(firsts=Count("rank"))
        .filter(firsts=0)
    )
    for lane in left:
        log.info("line.mended", user_id=str(lane["user_id"]))
        look(lane["user_id"], now=now)


def _admit_one(*, now: datetime) -> ExportRequest | None:
    while True:
        places = _Places.read()
        if not places.free:
            return None
        line = ExportRequest.objects.line()
        export = (line.exclude(user_id__in=places.full_users) if places.full_users else line).first()
        if export is None:
            return None
        try:
            won = move(
                export,
                Status.PENDING,
                Event.ADMITTED,
                now=now,
                rank=None,
                **places.columns(export.user_id, now=now),
            )
        except IntegrityError:
            # Somebody else took that slot in between: look again.
            continue
        if won:
            look(export.user_id, now=now)
            return export


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Which slots may be taken, as seen a moment ago.

    Attributes:
        free: the slots that anybody may take.
        own: the numbers that each user who holds some may take of his share.
        full_users: those who hold all that one user may.
    """

    free: Set[int]
    own: Mapping[Any, Set[int]]
    full_users: Set[Any]

    @classmethod
    def read(cls) -> "_Places":
        slots: set[int] = set()
        shares: dict[Any, set[int]] = defaultdict(set)
        holders = ExportRequest.objects.holders().values_list("slot", "user_id", "user_slot")
        for slot, user_id, user_slot in holders:
            slots.add(slot or 0)
            shares[user_id].add(int(str(user_slot).rpartition(":")[2]))
        own = {
            user_id: _open(taken, limit=settings.RENDER_MAX_CONCURRENCY_PER_USER)
            for user_id, taken in shares.items()
        }
        return cls(
            free=_open(slots, limit=settings.RENDER_MAX_CONCURRENCY),
            own=own,
            full_users={user_id for user_id, numbers in own.items() if not numbers},
        )

    def columns(self, user_id: Any, *, now: datetime) -> dict[str, Any]:
        own = self.own.get(user_id, range(1, settings.RENDER_MAX_CONCURRENCY_PER_USER + 1))
        # At random, so that those who choose at the same moment seldom choose the same.
        return {
            "slot": random.choice(sorted(self.free)),  # noqa: S311  # no secret
            "user_slot": f"{user_id}:{random.choice(sorted(own))}",  # noqa: S311  # no secret
            "due_at": now + timedelta(seconds=settings.RENDER_RESEND_S),
        }


def _open(taken: Set[int], *, limit: int) -> Set[int]:
    """Return the numbers up to a limit that may be taken besides those that are.

    Numbers above a limit that was lowered stay taken for a while, and each closes one below it: counting
    alone would let two who count at the same moment take one each.
    """
    top = limit
    while top and sum(number > top for number in taken) > limit - top:
        top -= 1
    return set(range(1, top + 1)) - taken

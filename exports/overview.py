"""How all renders stand, for those who run the system."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from exports.models import ExportRequest, Pause

LATE_S: Final = 30
"""A sweeper looks every second, so what has been due for this long shows that none is running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What is going on at one moment.

    Attributes:
        pause: the pause; ``None`` where exports are let render.
        slots: how many exports may render at once.
        slots_taken: how many hold a slot.
        waiting: how many exports wait for one.
        users_in_line: whose they are.
        oldest_queued_at: since when the one that has waited longest has waited; ``None`` where none waits.
        late: how many exports have been due for more than ``LATE_S``.
    """

    pause: Pause | None
    slots: int
    slots_taken: int
    waiting: int
    users_in_line: int
    oldest_queued_at: datetime | None
    late: int


def read_overview(*, now: datetime) -> Overview:
    """Return how all renders stand, in a fixed number of queries."""
    exports = ExportRequest.objects
    waiting = exports.waiting()
    return Overview(
        pause=Pause.objects.first(),
        slots=settings.RENDER_MAX_CONCURRENCY,
        slots_taken=exports.holders().count(),
        waiting=waiting.count(),
        users_in_line=exports.line().count(),
        oldest_queued_at=waiting.order_by("queued_at").values_list("queued_at", flat=True).first(),
        late=exports.due(now - timedelta(seconds=LATE_S)).count(),
    )

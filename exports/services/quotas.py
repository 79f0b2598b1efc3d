"""How many exports a user may have pending."""

from typing import Any

from django.conf import settings

from exports.models import ExportRequest
from exports.states import Status


class QuotaExceededError(Exception):
    """A user has so many pending exports that what was asked for would be too many.

    Attributes:
        pending: how many they have.
        limit: how many they may have.
    """

    def __init__(self, *, pending: int, limit: int, wanted: int) -> None:
        super().__init__(
            f"{wanted:,} more would be beyond the {limit:,} exports that may be pending at a time; "
            f"{pending:,} are. Wait until some have begun, or cancel some."
        )
        self.pending = pending
        self.limit = limit


def check_quota(user_id: Any, *, wanted: int = 1) -> None:
    """Make sure that a user may have ``wanted`` pending exports more.

    Those who ask at the same moment see the same number. So together they may end up beyond the limit by what
    all of them but one wanted: it bounds what one user can heap up, and nothing relies on it to be exact.

    Raises:
        QuotaExceededError: they may not.
    """
    limit = settings.MAX_PENDING_PER_USER
    pending = ExportRequest.objects.filter(user_id=user_id, status=Status.PENDING)
    # Apart, since the index of those who wait finds a user's by their having no slot; there are few with one.
    waiting = pending.filter(slot=None)[:limit].count()
    count = waiting + pending.filter(slot__gte=1).count()
    if count + wanted > limit:
        raise QuotaExceededError(pending=count, limit=limit, wanted=wanted)

"""The life of an export: its states, and which follows which."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from django.db.models import TextChoices


class Status(TextChoices):
    """Where an export stands. ``STAGED`` is a row of a batch that isn't committed: nobody is shown it."""

    STAGED = "staged", "Staged"
    PENDING = "pending", "Pending"
    PROCESSING = "processing", "Processing"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class Event(TextChoices):
    """What moved an export, as its timeline names it."""

    CREATED = "created", "Created"
    ADMITTED = "admitted", "It has a slot"
    CLAIMED = "claimed", "A worker took it"
    STARTED = "started", "Remotion started the render"
    THROTTLED = "throttled", "Remotion is busy; the start is put off"
    COMPLETED = "completed", "The file is ready"
    FAILED = "failed", "Failed"
    TIMED_OUT = "timed_out", "The render took too long"
    ATTEMPT_LOST = "attempt_lost", "The attempt was lost; a further one begins"
    ATTEMPT_FAILED = "attempt_failed", "The attempt failed; a further one begins"
    CANCELLED = "cancelled", "Cancelled"
    RETRIED = "retried", "Asked for again"
    DELETED = "deleted", "Deleted by its owner"


_TARGETS: Final[Mapping[Status, frozenset[Status]]] = MappingProxyType(
    {
        # To pending: its batch is committed.
        Status.STAGED: frozenset({Status.PENDING}),
        # To itself: it waited, and is given a slot.
        Status.PENDING: frozenset({Status.PENDING, Status.PROCESSING, Status.CANCELLED, Status.FAILED}),
        # To itself: the render's id becomes known, or the start is put off.
        # To pending: a further attempt, after a loss or a retryable error.
        Status.PROCESSING: frozenset(
            {Status.PROCESSING, Status.PENDING, Status.COMPLETED, Status.FAILED, Status.CANCELLED}
        ),
        Status.COMPLETED: frozenset(),
        # To pending: a retry by a person.
        Status.FAILED: frozenset({Status.PENDING}),
        Status.CANCELLED: frozenset({Status.PENDING}),
    }
)

ENDED: Final = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})
RUNNING: Final = frozenset({Status.PENDING, Status.PROCESSING})
SHOWN: Final = [(status.value, status.label) for status in Status if status in ENDED | RUNNING]
"""The statuses that an export's owner can see, as choices."""

RETRYABLE: Final = frozenset(status for status in ENDED if Status.PENDING in _TARGETS[status])


def may_move(source: Status, target: Status) -> bool:
    """Tell whether the table lets an export move from ``source`` to ``target``."""
    return target in _TARGETS[source]

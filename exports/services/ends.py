"""The end of an export, and all that follows from it."""

from datetime import datetime
from typing import Any

from exports.models import ExportRequest
from exports.queue import MessageQueue
from exports.services.line import admit, look
from exports.services.moves import move
from exports.states import Event, Status
from notifications import services as notifications


def end(
    seen: ExportRequest,
    target: Status,
    event: Event,
    *,
    queue: MessageQueue,
    now: datetime,
    detail: str = "",
    **changes: Any,
) -> bool:
    """Move an export to one of its ends, give its slot to the next in line, and tell its owner.

    It returns whether the move won. What follows the move is repaired by the sweeper where this process dies
    between.

    Args:
        seen: the row as read.
        target: the end that it moves to.
        event: what the timeline says of it.
        queue: takes the messages of those who are next.
        now: the moment of the move.
        detail: one sentence for support staff.
        changes: what else the end means, by field.
    """
    waited = seen.slot is None
    if not move(
        seen,
        target,
        event,
        now=now,
        detail=detail,
        slot=None,
        user_slot=None,
        rank=None,
        due_at=None,
        completed_at=now,
        notify_pending=True,
        **changes,
    ):
        return False
    notify_of_end(seen, now=now)
    if waited:
        look(seen.user_id, now=now)
    admit(queue=queue, now=now)
    return True


def notify_of_end(export: ExportRequest, *, now: datetime) -> None:
    """Write the notifications of an export's end, and note on the row that they are written.

    Whoever wants to move an export that has ended calls this first, so that no end goes untold. Any number
    of calls write each notification once.

    Args:
        export: the row as it ended.
        now: the present moment.
    """
    notifications.notify(
        user_id=export.user_id,
        kind=f"export_{export.status}",
        key=f"export:{export.pk}:{export.attempt}",
        context={
            "export_id": str(export.pk),
            "title": export.title,
            "error_message": export.error_message,
        },
        now=now,
    )
    ExportRequest.objects.filter(pk=export.pk, version=export.version).update(notify_pending=False)
    export.notify_pending = False

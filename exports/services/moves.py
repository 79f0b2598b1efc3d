"""How an export moves: one conditional update of one row.

Of any number of racing events exactly one wins, on every database, and a crash leaves the row before or
after the move, never between.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.core.exceptions import ValidationError

from exports.models import ExportRequest, timeline_entry
from exports.services.live import show
from exports.states import Event, Status, may_move

EMPTIED: Final[dict[str, Any]] = {
    "queue_message_id": None,
    "rank": None,
    "start_token": None,
    "render_id": None,
    "bucket_name": "",
    "output_key": "",
    "output_at": None,
    "output_size_bytes": None,
    "started_at": None,
    "completed_at": None,
    "progress": 0.0,
    "error_code": "",
    "error_message": "",
    "errors": [],
    "retryable": False,
}
"""What each return to ``pending`` empties."""


class ExportNotFoundError(Exception):
    """There is no such export, or it isn't the asker's, or its batch isn't committed."""


def move(
    seen: ExportRequest, target: Status, event: Event, *, now: datetime, detail: str = "", **changes: Any
) -> bool:
    """Move an export if it still is as it was seen, and tell whether that was so.

    Where it was, ``seen`` holds the new values afterwards. Where it wasn't, nothing has changed anywhere,
    and the caller reads again and decides anew.

    Args:
        seen: the row as read.
        target: the status that it moves to, which may be the one that it has.
        event: what the timeline says of it.
        now: the moment of the move.
        detail: one sentence for support staff.
        changes: what else the move means, by field.

    Raises:
        ValueError: the state table has no such move; the caller should have dropped the event.
    """
    if not may_move(Status(seen.status), target):
        raise ValueError(f"an export can't move from {seen.status} to {target}")
    attempt = changes.get("attempt", seen.attempt)
    changes |= {
        "status": target,
        "version": seen.version + 1,
        "updated_at": now,
        "timeline": [
            *seen.timeline,
            timeline_entry(event=event, status=target, attempt=attempt, now=now, detail=detail),
        ],
    }
    moved = ExportRequest.objects.filter(
        pk=seen.pk, status=seen.status, attempt=seen.attempt, version=seen.version
    ).update(**changes)
    if not moved:
        return False
    for name, value in changes.items():
        setattr(seen, name, value)
    show(seen, now=now)
    return True


def read(export_id: UUID | str) -> ExportRequest:
    """Return the export as it now is, for a caller that reads and decides until a move of its own wins.

    Raises:
        ExportNotFoundError: there is no such export.
    """
    try:
        # A decision needs no props, and they are the heaviest part of a row.
        return ExportRequest.objects.defer("input_props").exclude(status=Status.STAGED).get(pk=export_id)
    except (ExportRequest.DoesNotExist, ValidationError) as error:
        raise ExportNotFoundError(str(export_id)) from error

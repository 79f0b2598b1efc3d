"""What the owner of an export sees of it at once."""

from datetime import datetime

import structlog

from exports.models import ExportRequest
from exports.representations import status_of
from notifications.transports import websocket

log = structlog.get_logger(__name__)


def show(export: ExportRequest, *, now: datetime) -> None:
    """Push where an export stands to its owner's open pages.

    Args:
        export: the row as it now is.
        now: the present moment.
    """
    try:
        status = status_of(export, now=now)
    except Exception:
        # It has happened, and a page reads it again: not being able to show it must not undo it.
        log.exception("export.not_shown", export_id=str(export.pk))
        return
    websocket.push(user_id=export.user_id, message={"type": "export.updated", "export": status})

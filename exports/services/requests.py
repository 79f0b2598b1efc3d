"""What people ask of an export."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings

from exports.models import ExportRequest, Project, User, timeline_entry
from exports.queue import MessageQueue
from exports.services.live import show
from exports.services.messages import send_starts
from exports.services.moves import EMPTIED, move, read
from exports.states import RETRYABLE, Event, Status

log = structlog.get_logger(__name__)


class WrongStatusError(Exception):
    """The export's present status doesn't allow what was asked.

    Attributes:
        status: the present status.
    """

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


def create_export(
    *,
    project: Project,
    composition_id: str,
    serve_url: str,
    codec: str,
    input_props: dict[str, Any],
    queue: MessageQueue,
    now: datetime,
) -> ExportRequest:
    """Record an export and send its start message.

    The record comes first: where the queue can't be reached, or this process dies, the sweeper sends the
    message.
    """
    export = ExportRequest.objects.create(
        project=project,
        user_id=project.user_id,
        title=project.title,
        composition_id=composition_id,
        serve_url=serve_url,
        codec=codec,
        input_props=input_props,
        created_at=now,
        queued_at=now,
        updated_at=now,
        due_at=now + timedelta(seconds=settings.RENDER_RESEND_S),
        timeline=[timeline_entry(event=Event.CREATED, status=Status.PENDING, attempt=1, now=now)],
    )
    log.info("export.created", export_id=str(export.pk), project_id=str(project.pk))
    send_starts([export], queue=queue)
    show(export, now=now)
    return export


def retry_export(*, export_id: UUID, by: User, queue: MessageQueue, now: datetime) -> ExportRequest:
    """Begin a further attempt of an export that failed or was cancelled, because a person asks for it.

    Raises:
        ExportNotFoundError: there is no such export.
        WrongStatusError: it is running, or completed.
    """
    while True:
        export = read(export_id)
        if export.status not in RETRYABLE:
            raise WrongStatusError(
                export.status,
                f"Only a failed or cancelled export can be retried; this one is {export.status}.",
            )
        attempt = export.attempt + 1
        if move(
            export,
            Status.PENDING,
            Event.RETRIED,
            now=now,
            detail="by its owner" if by.pk == export.user_id else f"by {by}",
            attempt=attempt,
            asked_attempt=attempt,
            queued_at=now,
            due_at=now + timedelta(seconds=settings.RENDER_RESEND_S),
            **EMPTIED,
        ):
            log.info("export.retried", export_id=str(export.pk), attempt=attempt)
            send_starts([export], queue=queue)
            return export

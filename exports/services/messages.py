"""The messages that an export sends to the worker."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse

from exports.models import ExportRequest
from exports.queue import MessageQueue
from lambda_worker.contract import PollMessage, RenderConfig, RenderOptions, StartMessage


def send_starts(exports: Sequence[ExportRequest], *, queue: MessageQueue) -> None:
    """Ask the worker to start these exports' renders, and note the queue's ids on their rows.

    What the queue doesn't take stays due: the sweeper sends it again.
    """
    ids = queue.send([_start_message(export) for export in exports])
    for export, message_id in zip(exports, ids, strict=True):
        if message_id is None:
            continue
        export.queue_message_id = message_id
        # Beside the version, which the message carries: a row that moved on has no use for the id.
        ExportRequest.objects.filter(pk=export.pk, version=export.version).update(queue_message_id=message_id)


def send_polls(exports: Sequence[ExportRequest], *, queue: MessageQueue) -> None:
    """Ask the worker to look at these exports' renders. A message that gets lost costs one look."""
    queue.send([_poll_message(export) for export in exports])


def next_poll_at(*, started_at: datetime | None, now: datetime) -> datetime:
    """Return when to look at a render again: soon at first, later after a tenth of its age."""
    age_s = (now - started_at).total_seconds() if started_at else 0.0
    return now + timedelta(
        seconds=min(max(settings.RENDER_POLL_S, age_s / 10), max(settings.RENDER_POLL_S, 60.0))
    )


def _webhook_url() -> str:
    return settings.API_BASE_URL + reverse("export-webhook")


def _start_message(export: ExportRequest) -> StartMessage:
    return StartMessage(
        export_id=str(export.pk),
        project_id=str(export.project_id),
        user_id=str(export.user_id),
        attempt=export.attempt,
        version=export.version,
        render_config=RenderConfig(
            composition_id=export.composition_id,
            input_props=export.input_props,
            codec=export.codec,
            serve_url=export.serve_url,
            webhook_url=_webhook_url(),
            frame=export.frame,
            render_options=RenderOptions.parse(export.render_options) if export.render_options else None,
        ),
    )


def _poll_message(export: ExportRequest) -> PollMessage:
    return PollMessage(
        export_id=str(export.pk),
        project_id=str(export.project_id),
        user_id=str(export.user_id),
        attempt=export.attempt,
        version=export.version,
        codec=export.codec,
        audio_codec=export.render_options.get("audioCodec"),
        render_id=export.render_id or "",
        bucket_name=export.bucket_name,
        webhook_url=_webhook_url(),
    )

"""What is due: messages to send again, renders to look at, and what a crash or a lost webhook left behind."""

from datetime import datetime, timedelta

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from exports import failures, renders
from exports.idempotency import FORGOTTEN
from exports.models import Batch, ExportRequest
from exports.queue import MessageQueue
from exports.services.ends import notify_of_end
from exports.services.line import admit, look_at_all
from exports.services.messages import next_poll_at, send_polls, send_starts
from exports.services.reports import complete_from_output, end_attempt, fail_export
from exports.states import Event, Status
from exports.storage import delete_output, find_output

log = structlog.get_logger(__name__)


def handle_due(*, queue: MessageQueue, now: datetime, limit: int = 500) -> int:
    """Do what is due for running exports, and return how many rows this call took on.

    Each row is won by a conditional update, so any number of sweepers may run at once.

    Args:
        queue: takes the messages.
        now: the present moment.
        limit: how many rows to look at.
    """
    starts: list[ExportRequest] = []
    polls: list[ExportRequest] = []
    repaired = 0
    for export in ExportRequest.objects.due(now).defer("input_props")[:limit]:
        if _is_late(export, now) or (export.start_token and export.render_id is None):
            repaired += _repair(export, queue=queue, now=now)
        elif export.render_id is not None:
            if _put_off(export, until=next_poll_at(started_at=export.started_at, now=now)):
                polls.append(export)
        elif _put_off(export, until=now + timedelta(seconds=settings.RENDER_RESEND_S)):
            starts.append(export)
    if starts:
        # The props were left out of the look; the messages need them.
        send_starts(list(ExportRequest.objects.filter(pk__in=[export.pk for export in starts])), queue=queue)
    if polls:
        send_polls(polls, queue=queue)
    return len(starts) + len(polls) + repaired


def _is_late(export: ExportRequest, now: datetime) -> bool:
    return (
        export.status == Status.PROCESSING
        and export.started_at is not None
        and now - export.started_at > timedelta(seconds=settings.RENDER_TIMEOUT_S)
    )


def _put_off(export: ExportRequest, *, until: datetime) -> bool:
    """Set when the row is due next, unless someone else did or moved it; tell whether this call did."""
    won = ExportRequest.objects.filter(pk=export.pk, version=export.version, due_at=export.due_at).update(
        due_at=until
    )
    export.due_at = until
    return bool(won)


def _repair(export: ExportRequest, *, queue: MessageQueue, now: datetime) -> bool:
    """End an attempt that has had its time, by what lies in the bucket."""
    try:
        size_bytes = find_output(export.output_key_of(export.attempt))
    except (BotoCoreError, ClientError) as error:
        # The row stays due: the next sweep asks again.
        log.warning("storage.unreachable", export_id=str(export.pk), error=str(error))
        return False
    if size_bytes is not None:
        return complete_from_output(export, size_bytes=size_bytes, queue=queue, now=now)
    if not _is_late(export, now):
        return end_attempt(
            export, failure=failures.RENDER_LOST, event=Event.ATTEMPT_LOST, queue=queue, now=now
        )
    if export.start_token is None and export.render_id is None:
        # Its start was put off again and again: there was no render that could have taken too long.
        return fail_export(export, failure=failures.THROTTLED, queue=queue, now=now)
    moved = fail_export(export, failure=failures.TIMEOUT, event=Event.TIMED_OUT, queue=queue, now=now)
    if moved and export.render_id is not None:
        renders.cancel(bucket_name=export.bucket_name, render_id=export.render_id, now=now)
    return moved


def mend_line(*, queue: MessageQueue, now: datetime) -> int:
    """Do for the line what a crash left undone, and return how many exports got a slot."""
    look_at_all(now=now)
    return admit(queue=queue, now=now)


def delete_expired_outputs(*, now: datetime, limit: int = 100) -> int:
    """Delete the files that have been kept for ``OUTPUT_RETENTION_DAYS``, and return how many.

    The file goes first: where this process dies in between, it is deleted once more. The export itself stays.

    Args:
        now: the present moment.
        limit: how many exports to look at.
    """
    kept_since = now - timedelta(days=settings.OUTPUT_RETENTION_DAYS)
    deleted = 0
    expired = ExportRequest.objects.with_output_before(kept_since).only(
        "bucket_name", "output_key", "output_at"
    )
    for export in expired[:limit]:
        try:
            delete_output(bucket_name=export.bucket_name, key=export.output_key)
        except (BotoCoreError, ClientError) as error:
            # What is left is found again by the next sweep.
            log.warning("storage.unreachable", export_id=str(export.pk), error=str(error))
            break
        # No move: it tells nothing but where the file was.
        ExportRequest.objects.filter(pk=export.pk, output_at=export.output_at).update(output_at=None)
        log.info("output.deleted", export_id=str(export.pk))
        deleted += 1
    return deleted


def notify_left_over(*, now: datetime, limit: int = 500) -> int:
    """Write the notifications that a crash kept from being written, and return for how many exports.

    Args:
        now: the present moment.
        limit: how many exports to look at.
    """
    left = ExportRequest.objects.filter(notify_pending=True).order_by("updated_at").defer("input_props")
    count = 0
    for export in left[:limit]:
        notify_of_end(export, now=now)
        count += 1
    return count


def forget_keys(*, now: datetime, limit: int = 1000) -> int:
    """Forget the idempotency keys that have been kept long enough, and return how many.

    Args:
        now: the present moment.
        limit: how many exports to look at, and how many batches.
    """
    forgotten = 0
    for rows in (ExportRequest.objects.all(), Batch.objects.all()):
        expired = rows.filter(key_expires_at__lte=now).order_by("key_expires_at")
        # By their ids, since an update can't have a limit.
        ids = list(expired.values_list("pk", flat=True)[:limit])
        forgotten += rows.filter(pk__in=ids).update(**FORGOTTEN) if ids else 0
    return forgotten

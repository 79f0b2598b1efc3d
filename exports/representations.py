"""How an export looks to its owner, over HTTP and over the socket."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, Q, Sum

from exports.models import Batch, ExportRequest, Render
from exports.states import SHOWN, Status
from exports.storage import presign


def status_of(export: ExportRequest, *, now: datetime) -> dict[str, Any]:
    """Return all that an export's owner sees of it, JSON-ready, with a new presigned address of its file."""
    output = None
    if export.status == Status.COMPLETED and export.output_at is not None:
        output = presign(bucket_name=export.bucket_name, key=export.output_key, now=now)
    cost = Render.objects.filter(export_id=export.pk).aggregate(total=Sum("cost_usd"))["total"] or Decimal(0)
    return {
        "exportId": str(export.pk),
        "projectId": str(export.project_id) if export.project_id else None,
        "userId": str(export.user_id),
        "title": export.title,
        "compositionId": export.composition_id,
        "codec": export.codec,
        "status": str(export.status),
        "progress": round(export.progress, 4),
        "etaSeconds": _eta_seconds(export, now),
        "queuePosition": queue_position(export),
        "queueMessageId": export.queue_message_id,
        "renderId": export.render_id,
        "bucketName": export.bucket_name or None,
        "outputUrl": output.url if output else None,
        "outputExpiresAt": iso(output.expires_at) if output else None,
        "outputSizeBytes": export.output_size_bytes,
        "errorMessage": export.error_message or None,
        "errors": export.errors,
        "retryable": export.retryable,
        "attempt": export.attempt,
        "cost": {"amount": format(cost.normalize(), "f"), "currency": "USD"},
        "createdAt": iso(export.created_at),
        "startedAt": iso(export.started_at),
        "completedAt": iso(export.completed_at),
        "updatedAt": iso(export.updated_at),
        "version": export.version,
    }


MAX_FAILURES: Final = 100
"""How many failures of a batch one page lists."""


def batch_of(batch: Batch, *, after_row: int = 0) -> dict[str, Any]:
    """Return how a committed batch stands, JSON-ready, in two queries at any number of rows.

    Args:
        batch: the batch.
        after_row: the failures are listed from behind this row on.
    """
    exports = ExportRequest.objects.filter(batch_id=batch.pk).exclude(status=Status.STAGED)
    sums = {
        row["status"]: row
        for row in exports.order_by().values("status").annotate(count=Count("pk"), progress=Sum("progress"))
    }
    left = batch.accepted - sum(row["count"] for row in sums.values())
    counts = {status: sums.get(status, {}).get("count", 0) for status, _ in SHOWN}
    if batch.stage == Batch.Stage.COMMITTED:
        # A moment later these wait too.
        counts[Status.PENDING] += left
    there = sum(counts.values())
    failed = exports.filter(status=Status.FAILED, row__gt=after_row).order_by("row")
    failures = list(
        failed.values_list("row", "pk", "error_code", "error_message", "retryable")[: MAX_FAILURES + 1]
    )
    return {
        **batch_answer(batch),
        "counts": counts,
        "progress": round(sum(row["progress"] for row in sums.values()) / there, 4) if there else 0.0,
        "failures": [
            {
                "row": row,
                "exportId": str(export_id),
                "errorCode": code,
                "errorMessage": message,
                "retryable": retryable,
            }
            for row, export_id, code, message, retryable in failures[:MAX_FAILURES]
        ],
        "nextAfterRow": failures[MAX_FAILURES - 1][0] if len(failures) > MAX_FAILURES else None,
    }


def batch_answer(batch: Batch) -> dict[str, Any]:
    """Return what never changes of a committed batch, JSON-ready."""
    return {
        "batchId": str(batch.pk),
        "projectId": str(batch.project_id) if batch.project_id else None,
        "total": batch.total,
        "accepted": batch.accepted,
        "refused": batch.total - batch.accepted,
        "errors": batch.refusals,
        "createdAt": iso(batch.created_at),
    }


def queue_position(export: ExportRequest) -> int | None:
    """Return about how many exports are let render until this one is; ``None`` where it need not wait.

    The line turns by users, so it is its place among its owner's own, times the number of users who wait.
    """
    if not _waits(export):
        return None
    ahead = Q(priority__lt=export.priority) | Q(priority=export.priority, queued_at__lt=export.queued_at)
    ahead |= Q(priority=export.priority, queued_at=export.queued_at, id__lt=export.pk)
    place = ExportRequest.objects.waiting().filter(ahead, user_id=export.user_id).count() + 1
    return place * max(ExportRequest.objects.line().count(), 1)


def queue_positions(exports: Iterable[ExportRequest]) -> dict[UUID, int]:
    """Return :func:`queue_position` of those of these exports that wait, in two queries for all of them.

    It reads the keys of all that their owners have waiting.
    """
    waiting = {export.pk: export.user_id for export in exports if _waits(export)}
    if not waiting:
        return {}
    users = max(ExportRequest.objects.line().count(), 1)
    places: Counter[Any] = Counter()
    positions = {}
    lanes = ExportRequest.objects.waiting().filter(user_id__in=set(waiting.values()))
    for export_id, user_id in lanes.values_list("pk", "user_id"):
        places[user_id] += 1
        if export_id in waiting:
            positions[export_id] = places[user_id] * users
    return positions


def _waits(export: ExportRequest) -> bool:
    return export.status == Status.PENDING and export.slot is None


def _eta_seconds(export: ExportRequest, now: datetime) -> float | None:
    """Return how long the render still takes if it goes on as it went; ``None`` before it has begun."""
    if export.status != Status.PROCESSING or export.started_at is None or export.progress <= 0:
        return None
    elapsed_s = (now - export.started_at).total_seconds()
    return round(elapsed_s * (1 - export.progress) / export.progress, 1)


def iso(moment: datetime | None) -> str | None:
    """Return a moment as every answer writes it: ISO 8601 in UTC, to the millisecond."""
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

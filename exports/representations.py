"""How an export looks to its owner, over HTTP and over the socket."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, Q, Sum

from exports.costs import CURRENCY, spent_on, still_to_come
from exports.models import Batch, ExportRequest
from exports.states import RUNNING, SHOWN, Status
from exports.storage import file_name_of, output_urls

_HUNDRED_MILLIONTH: Final = Decimal("0.00000001")


def status_of(export: ExportRequest, *, now: datetime) -> dict[str, Any]:
    """Return all that an export's owner sees of it, JSON-ready, with new addresses of its file."""
    return {**facts_of(export), **at_present(export, now=now)}


def facts_of(export: ExportRequest) -> dict[str, Any]:
    """Return of an export's status what stays as it is until something happens."""
    return {
        "exportId": str(export.pk),
        "projectId": str(export.project_id) if export.project_id else None,
        "userId": str(export.user_id),
        "title": export.title,
        "compositionId": export.composition_id,
        "codec": export.codec,
        "frame": export.frame,
        "renderOptions": export.render_options,
        "metadata": export.metadata,
        "status": str(export.status),
        "progress": round(export.progress, 4),
        "queuePosition": queue_position(export),
        "queueMessageId": export.queue_message_id,
        "renderId": export.render_id,
        "bucketName": export.bucket_name or None,
        "outputSizeBytes": export.output_size_bytes,
        "errorMessage": export.error_message or None,
        "errors": export.errors,
        "retryable": export.retryable,
        "attempt": export.attempt,
        "cost": _cost_of(export),
        "createdAt": iso(export.created_at),
        "startedAt": iso(export.started_at),
        "completedAt": iso(export.completed_at),
        "updatedAt": iso(export.updated_at),
        "version": export.version,
    }


def at_present(export: ExportRequest, *, now: datetime) -> dict[str, Any]:
    """Return of an export's status what is another at each moment, though nothing has happened."""
    urls = None
    if has_output(export):
        asked = export.render_options.get("downloadBehavior", {})
        name = PurePosixPath(asked.get("fileName") or "").stem or export.title
        urls = output_urls(
            bucket_name=export.bucket_name,
            key=export.output_key,
            file_name=file_name_of(name, export.extension),
            is_download=asked.get("type") == "download",
            now=now,
        )
    return {
        "etaSeconds": _eta_seconds(export, now),
        "outputUrl": urls.url if urls else None,
        "downloadUrl": urls.download_url if urls else None,
        "outputExpiresAt": iso(urls.expires_at) if urls else None,
    }


def has_output(export: ExportRequest) -> bool:
    """Tell whether there is a file."""
    return export.status == Status.COMPLETED and export.output_at is not None


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
    One row as it was read is counted once, however often it is told.
    """
    if not _waits(export):
        return None
    told: tuple[int, int] | None = getattr(export, "_told_position", None)
    if told is None or told[0] != export.version:
        told = (export.version, _count_position(export))
        export._told_position = told  # type: ignore[attr-defined]  # of this instance alone
    return told[1]


def _count_position(export: ExportRequest) -> int:
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


def _cost_of(export: ExportRequest) -> dict[str, Any]:
    cost = spent_on(export)
    to_come = Decimal(0)
    if export.status in RUNNING:
        to_come = still_to_come(spent=cost.total, estimated=export.estimated_cost_usd)
    return {
        "amount": dollars(cost.total),
        "currency": CURRENCY,
        "estimated": dollars(to_come),
        "parts": {name: dollars(amount) for name, amount in cost.parts().items()},
    }


# Remotion's own weights: two tenths come at once, when the site is open and the function invoked; the last
# one is for joining the parts, which takes a moment. Between them progress goes with the frames.
_FRAMES_BEGIN: Final = 0.2
_FRAMES_END: Final = 0.9
_LEAST_SHARE: Final = 0.05


def _eta_seconds(export: ExportRequest, now: datetime) -> float | None:
    """Return how long the render still takes if its frames go on as they went.

    ``None`` where that can't be told: before the first of them are done, and for what waits, whose turn
    depends on how long the exports of others take.
    """
    if export.status != Status.PROCESSING or export.started_at is None:
        return None
    share = min((export.progress - _FRAMES_BEGIN) / (_FRAMES_END - _FRAMES_BEGIN), 1)
    if share < _LEAST_SHARE:
        return None
    # Its last rise is what changed it last: what is known of its pace is of that moment.
    took_s = (export.updated_at - export.started_at).total_seconds()
    passed_s = (now - export.started_at).total_seconds()
    return round(max(took_s / share - passed_s, 0), 1)


def iso(moment: datetime | None) -> str | None:
    """Return a moment as every answer writes it: ISO 8601 in UTC, to the millisecond."""
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def dollars(amount: Decimal) -> str:
    """Return an amount as every answer writes it: plain digits, to the hundred-millionth of a dollar.

    What a message costs has its first digit at the seventh place.
    """
    return format(amount.quantize(_HUNDRED_MILLIONTH).normalize(), "f")

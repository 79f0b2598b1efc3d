"""What the worker and Remotion report of a render, and what an export makes of it.

Reports may come late, twice, in any order, or from an attempt that is over; such a one changes nothing of
the export. What a render has cost is kept all the same.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.db import IntegrityError
from django.db.models import F, Sum

from exports import failures
from exports.failures import Failure
from exports.models import ExportRequest, Render
from exports.queue import MessageQueue
from exports.services.ends import end
from exports.services.live import show
from exports.services.messages import next_poll_at
from exports.services.moves import EMPTIED, move, read
from exports.states import Event, Status
from exports.storage import delete_output, find_output
from lambda_worker.contract import (
    STILLS,
    Action,
    RenderCosts,
    RenderError,
    RenderFailure,
    RenderProgress,
    RenderStarted,
    RenderSuccess,
    RenderThrottled,
    RenderTimeout,
    WorkerUse,
)

log = structlog.get_logger(__name__)

_MAX_BACKOFF_S: Final = 60.0


def claim_render(*, report: RenderStarted, now: datetime) -> Action:
    """Decide whether this invocation of the worker may start the attempt's render.

    Of any number of invocations one is told to render, and is told so again if it asks again.

    Raises:
        ExportNotFoundError: there is no such export.
    """
    while True:
        export = read(report.export_id)
        if export.attempt != report.attempt or export.render_id is not None:
            return Action.SKIP
        if export.status == Status.PROCESSING and export.start_token == report.token:
            return Action.RENDER
        put_off = export.status == Status.PROCESSING and export.start_token is None
        if export.version != report.version or not (export.status == Status.PENDING or put_off):
            return Action.SKIP
        if move(
            export,
            Status.PROCESSING,
            Event.CLAIMED,
            now=now,
            start_token=report.token,
            started_at=export.started_at or now,
            due_at=now + timedelta(seconds=settings.RENDER_CLAIM_S),
        ):
            log.info("export.claimed", export_id=str(export.pk), attempt=export.attempt)
            return Action.RENDER


def accept_render(*, report: RenderProgress, now: datetime) -> Action:
    """Make the id of the render that an invocation has started known, or have that render cancelled.

    Raises:
        ExportNotFoundError: there is no such export.
    """
    while True:
        export = read(report.export_id)
        _keep_render(export, report, now=now)
        if export.render_id == report.render_id:
            return Action.KEEP
        if not _awaits_start(export, attempt=report.attempt, token=report.token):
            log.warning("render.unwanted", export_id=str(export.pk), render_id=report.render_id)
            return Action.CANCEL
        if move(
            export,
            Status.PROCESSING,
            Event.STARTED,
            now=now,
            render_id=report.render_id,
            bucket_name=report.bucket_name,
            due_at=next_poll_at(started_at=export.started_at, now=now),
        ):
            log.info("export.started", export_id=str(export.pk), render_id=report.render_id)
            return Action.KEEP


def put_off_start(*, report: RenderThrottled, now: datetime) -> None:
    """Start the render later: Remotion surely hasn't started it.

    Raises:
        ExportNotFoundError: there is no such export.
    """
    while True:
        export = read(report.export_id)
        if not _awaits_start(export, attempt=report.attempt, token=report.token):
            return
        # The wait doubles with each try, since the age does.
        age_s = (now - (export.started_at or now)).total_seconds()
        if move(
            export,
            Status.PROCESSING,
            Event.THROTTLED,
            now=now,
            detail=report.reason,
            start_token=None,
            due_at=now + _jittered(min(max(age_s, settings.RENDER_POLL_S), _MAX_BACKOFF_S)),
        ):
            log.info("export.throttled", export_id=str(export.pk), attempt=export.attempt)
            return


def record_progress(*, report: RenderProgress, now: datetime) -> bool:
    """Raise the progress of a running render, and tell whether it rose; it never falls.

    Raises:
        ExportNotFoundError: there is no such export.
    """
    export = read(report.export_id)
    _keep_render(export, report, now=now)
    if export.attempt != report.attempt or export.render_id != report.render_id:
        return False
    progress = min(report.progress, 1.0)
    # No move: the version stays, for progress must not make a racing move lose.
    rose = ExportRequest.objects.filter(
        pk=export.pk,
        status=Status.PROCESSING,
        attempt=report.attempt,
        render_id=report.render_id,
        progress__lt=progress,
    ).update(progress=progress, updated_at=now)
    if not rose:
        return False
    export.progress, export.updated_at = progress, now
    show(export, now=now)
    return True


def complete_export(*, report: RenderSuccess, queue: MessageQueue, now: datetime) -> bool:
    """End an export with its file ready, and tell whether this report did it.

    Raises:
        ExportNotFoundError: there is no such export.
    """
    while True:
        export = read(report.export_id)
        _keep_render(export, report, now=now, outcome=Render.Outcome.SUCCESS)
        if not _may_end(export, attempt=report.attempt, render_id=report.render_id):
            if export.deleted:
                _drop_output(export, report)
            return False
        size_bytes = report.output_size_bytes
        if size_bytes is None:
            size_bytes = _output_size(export)
        if end(
            export,
            Status.COMPLETED,
            Event.COMPLETED,
            queue=queue,
            now=now,
            **_completed(export, size_bytes=size_bytes, now=now),
            render_id=report.render_id,
            bucket_name=report.bucket_name,
        ):
            log.info("export.completed", export_id=str(export.pk), attempt=export.attempt)
            return True


def fail_render(*, report: RenderError | RenderTimeout, queue: MessageQueue, now: datetime) -> bool:
    """End an attempt that failed, and the export with it unless a further attempt may help.

    It tells whether this report did it.

    Raises:
        ExportNotFoundError: there is no such export.
    """
    outcome = Render.Outcome.ERROR if isinstance(report, RenderError) else Render.Outcome.TIMEOUT
    while True:
        export = read(report.export_id)
        if report.render_id is not None:
            _keep_render(export, report, now=now, outcome=outcome)
            accepted = _may_end(export, attempt=report.attempt, render_id=report.render_id)
        else:
            accepted = _awaits_start(export, attempt=report.attempt, token=report.token)
        if not accepted:
            return False
        if isinstance(report, RenderTimeout):
            moved = fail_export(export, failure=failures.TIMEOUT, event=Event.TIMED_OUT, queue=queue, now=now)
        else:
            moved = end_attempt(
                export,
                failure=_failure_of(report, codec=export.codec),
                event=Event.ATTEMPT_FAILED,
                errors=report.errors,
                queue=queue,
                now=now,
            )
        if moved:
            return True


def end_attempt(
    export: ExportRequest,
    *,
    failure: Failure,
    event: Event,
    errors: Sequence[RenderFailure] = (),
    queue: MessageQueue,
    now: datetime,
) -> bool:
    """Begin a further attempt if that can help and one is left, or end the export as failed.

    A further attempt keeps the slot. It tells whether the move won.

    Args:
        export: the row as read.
        failure: why the attempt is over.
        event: what the timeline says where a further attempt begins.
        errors: Remotion's own words.
        queue: takes the messages of those who are next where the export ends.
        now: the moment of the move.
    """
    attempt = export.attempt + 1
    if not failure.retryable or attempt - export.asked_attempt >= settings.RENDER_MAX_ATTEMPTS:
        return fail_export(export, failure=failure, errors=errors, queue=queue, now=now)
    backoff_s = min(settings.RENDER_POLL_S * 2 ** (attempt - export.asked_attempt - 1), _MAX_BACKOFF_S)
    return move(
        export,
        Status.PENDING,
        event,
        now=now,
        detail=_words(failure, errors),
        attempt=attempt,
        due_at=now + _jittered(backoff_s),
        **EMPTIED,
    )


def fail_export(
    export: ExportRequest,
    *,
    failure: Failure,
    event: Event = Event.FAILED,
    errors: Sequence[RenderFailure] = (),
    queue: MessageQueue,
    now: datetime,
) -> bool:
    """End an export as failed, and tell whether the move won."""
    moved = end(
        export,
        Status.FAILED,
        event,
        queue=queue,
        now=now,
        detail=_words(failure, errors),
        error_code=failure.code,
        error_message=_words(failure, errors),
        errors=[error.dump() for error in errors],
        retryable=failure.retryable,
    )
    if moved:
        log.warning("export.failed", export_id=str(export.pk), attempt=export.attempt, code=failure.code)
    return moved


def complete_from_output(
    export: ExportRequest, *, size_bytes: int, queue: MessageQueue, now: datetime
) -> bool:
    """End an export whose file is there though its reports were lost; tell whether the move won."""
    return end(
        export,
        Status.COMPLETED,
        Event.COMPLETED,
        queue=queue,
        now=now,
        detail="The file was found in the bucket; the reports of its render were lost.",
        **_completed(export, size_bytes=size_bytes, now=now),
        bucket_name=export.bucket_name or settings.REMOTION_BUCKET,
    )


def _completed(export: ExportRequest, *, size_bytes: int | None, now: datetime) -> dict[str, Any]:
    return {
        "progress": 1.0,
        "output_key": export.output_key_of(export.attempt),
        "output_at": now,
        "output_size_bytes": size_bytes,
    }


def _drop_output(export: ExportRequest, report: RenderSuccess) -> None:
    """Delete the file of a render that went on to its end after its export was deleted."""
    try:
        delete_output(
            bucket_name=report.bucket_name or settings.REMOTION_BUCKET,
            key=export.output_key_of(report.attempt),
        )
    except (BotoCoreError, ClientError) as error:
        log.warning("storage.unreachable", export_id=str(export.pk), error=str(error))


def _output_size(export: ExportRequest) -> int | None:
    """Ask S3 for the size, which Remotion's own webhook doesn't carry; without an answer it stays unknown."""
    try:
        return find_output(export.output_key_of(export.attempt))
    except (BotoCoreError, ClientError) as error:
        log.warning("storage.unreachable", export_id=str(export.pk), error=str(error))
        return None


def _awaits_start(export: ExportRequest, *, attempt: int, token: str | None) -> bool:
    return (
        export.status == Status.PROCESSING
        and export.attempt == attempt
        and token is not None
        and export.start_token == token
        and export.render_id is None
    )


def _may_end(export: ExportRequest, *, attempt: int, render_id: str) -> bool:
    return (
        export.status == Status.PROCESSING
        and export.attempt == attempt
        and export.render_id in (None, render_id)
    )


def _failure_of(report: RenderError, *, codec: str) -> Failure:
    # A still's id is known at its end alone: what its function says was said of the render itself.
    is_stills_own = codec in STILLS and report.code is None
    if report.render_id is None and not is_stills_own:
        return failures.by_code(report.code or "") or failures.START_REFUSED
    return failures.classify(report.errors)


def _words(failure: Failure, errors: Sequence[RenderFailure]) -> str:
    return errors[0].message if errors else failure.cause


def _jittered(seconds: float) -> timedelta:
    # Spread, so that what was put off together does not come back together.
    return timedelta(seconds=seconds * random.uniform(0.75, 1.25))  # noqa: S311  # no secret


def _keep_render(
    export: ExportRequest,
    report: RenderProgress | RenderSuccess | RenderError | RenderTimeout,
    *,
    now: datetime,
    outcome: Render.Outcome = Render.Outcome.RUNNING,
) -> None:
    """Keep that this render was started, what it has cost up to now, and how it ended."""
    cost = _amount(report.costs)
    rows = Render.objects.filter(render_id=report.render_id)
    seen = rows.values_list("outcome", "cost_usd").first()
    if seen is None:
        try:
            Render.objects.create(
                export=export,
                attempt=report.attempt,
                render_id=report.render_id or "",
                bucket_name=report.bucket_name or "",
                cost_usd=cost,
                outcome=outcome,
                created_at=now,
                ended_at=None if outcome == Render.Outcome.RUNNING else now,
            )
        except IntegrityError:
            # Another report of the same render came in between.
            pass
        else:
            _raise_cost(export, cost)
            return
    if cost > (seen[1] if seen else 0):
        rows.filter(cost_usd__lt=cost).update(cost_usd=cost)
    _raise_cost(export, cost)
    if outcome != Render.Outcome.RUNNING:
        rows.filter(outcome=Render.Outcome.RUNNING).update(outcome=outcome, ended_at=now)


def _raise_cost(export: ExportRequest, reported: Decimal) -> None:
    """Keep with the export what all its renders have cost, once one of them has reported a cost.

    Each report first writes its render and then reads them all, so that of two at the same moment the second
    to write has read both; and since no render's cost falls, the greater sum is the right one. A process that
    dies in between hasn't taken the report: its sender repeats it.
    """
    if not reported:
        return
    renders = Render.objects.filter(export_id=export.pk)
    # None where the render is known as another export's. To the digits of its column: SQLite adds in binary.
    total = round(renders.aggregate(total=Sum("cost_usd"))["total"] or Decimal(0), 6)
    if total > export.render_cost_usd:
        ExportRequest.objects.filter(pk=export.pk, render_cost_usd__lt=total).update(render_cost_usd=total)
        export.render_cost_usd = total


def keep_worker_use(*, export_id: str, use: WorkerUse) -> None:
    """Count one message of an export, and what the worker has used for it.

    A report that comes twice because its answer was lost counts twice: it is worth less than keeping a row
    for each message.

    Args:
        export_id: an export that there is.
        use: what that invocation has used.
    """
    ExportRequest.objects.filter(pk=export_id).update(
        worker_messages=F("worker_messages") + 1,
        worker_mb_ms=F("worker_mb_ms") + use.ms * use.memory_mb,
    )


def _amount(costs: RenderCosts | None) -> Decimal:
    return Decimal(0) if costs is None else Decimal(str(round(costs.amount_usd, 6)))

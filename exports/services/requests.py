"""What people ask of an export."""

import contextlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError
from django.db.models import TextChoices

from exports import renders
from exports.costs import estimate
from exports.idempotency import IdempotencyKey
from exports.models import ExportRequest, MetadataPair, Pause, Priority, Project, User, timeline_entry
from exports.queue import MessageQueue
from exports.services.ends import end, notify_of_end
from exports.services.line import admit, free_place, look
from exports.services.live import show
from exports.services.messages import send_starts
from exports.services.moves import EMPTIED, ExportNotFoundError, move, read
from exports.services.quotas import QuotaExceededError, check_quota
from exports.states import ENDED, RETRYABLE, Event, Status
from exports.storage import delete_output
from lambda_worker.contract import STILLS, RenderOptions
from renderhub.ids import uuid7

log = structlog.get_logger(__name__)

_DEFAULT_OPTIONS: Final = RenderOptions()


class WrongStatusError(Exception):
    """The export's present status doesn't allow what was asked.

    Attributes:
        status: the present status.
    """

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class AlreadyCreatedError(Exception):
    """An earlier request with the same key has made the export.

    Attributes:
        export: the export as it now is.
    """

    def __init__(self, export: ExportRequest) -> None:
        super().__init__(str(export.pk))
        self.export = export


def new_export(
    *,
    project: Project,
    composition_id: str,
    serve_url: str,
    codec: str,
    input_props: dict[str, Any],
    frame: int | None = None,
    render_options: RenderOptions = _DEFAULT_OPTIONS,
    priority: int = Priority.NORMAL,
    metadata: Mapping[str, str] = MappingProxyType({}),
    estimated_cost_usd: Decimal = Decimal(0),
    now: datetime,
) -> ExportRequest:
    """Return the row of an export that was asked for now. It isn't saved, and must have been checked."""
    # MongoDB keeps milliseconds: what is answered now must be what is read later.
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    return ExportRequest(
        id=uuid7(now),
        project=project,
        user_id=project.user_id,
        title=project.title,
        composition_id=composition_id,
        serve_url=serve_url,
        codec=codec,
        input_props=input_props,
        frame=frame,
        render_options=render_options.dump(),
        metadata=dict(metadata),
        priority=priority,
        estimated_cost_usd=estimated_cost_usd,
        created_at=now,
        queued_at=now,
        updated_at=now,
        timeline=[timeline_entry(event=Event.CREATED, status=Status.PENDING, attempt=1, now=now)],
    )


def create_export(
    *,
    project: Project,
    key: IdempotencyKey | None = None,
    queue: MessageQueue,
    now: datetime,
    **order: Any,
) -> ExportRequest:
    """Record an export, and send its start message or put it in the line.

    The record comes first: where the queue can't be reached, or this process dies, the sweeper goes on.

    Args:
        project: what is exported.
        key: what tells a repetition of the request from another one.
        queue: takes its message.
        now: the present moment.
        order: what else :func:`new_export` takes.

    Raises:
        AlreadyCreatedError: the same request has made it before, or was quicker.
        KeyReusedError: another request has used the key.
        QuotaExceededError: its owner has as many pending as they may have.
    """
    try:
        check_quota(project.user_id)
    except QuotaExceededError:
        # What this request has made before, or makes at this moment elsewhere, is within it.
        look_for_created(key=key)
        raise
    cost = estimate(project=project, codec=order["codec"])
    export = new_export(project=project, estimated_cost_usd=cost, now=now, **order)
    if key is not None:
        for name, value in key.columns(now=export.created_at).items():
            setattr(export, name, value)
    index_metadata([export])
    if _insert_with_place(export, now=now):
        send_starts([export], queue=queue)
        show(export, now=now)
    else:
        _insert(export, key=key)
        look(export.user_id, now=now)
        if admit(queue=queue, now=now):
            export.refresh_from_db()
        if export.slot is None:
            # Whoever gave it a slot has shown it.
            show(export, now=now)
    log.info("export.created", export_id=str(export.pk), project_id=str(project.pk), slot=export.slot)
    return export


def index_metadata(exports: Iterable[ExportRequest]) -> None:
    """Let these exports be found by their metadata; before they are inserted, so that none is missed.

    Any number of calls write each pair once.
    """
    pairs = [pair for export in exports for pair in export.metadata_pairs()]
    if not pairs:
        return
    there = set(MetadataPair.objects.filter(pk__in=[pair.pk for pair in pairs]).values_list("pk", flat=True))
    MetadataPair.objects.bulk_create(pair for pair in pairs if pair.pk not in there)


def forget_metadata(exports: Iterable[ExportRequest]) -> None:
    """Let these exports be found by their metadata no more."""
    pairs = [pair.pk for export in exports for pair in export.metadata_pairs()]
    if pairs:
        MetadataPair.objects.filter(pk__in=pairs).delete()


def look_for_created(*, key: IdempotencyKey | None) -> None:
    """Make sure that nothing has been made under this key.

    Raises:
        AlreadyCreatedError: the same request has made an export.
        KeyReusedError: another request has.
    """
    if key is None:
        return
    export = ExportRequest.objects.defer("input_props", "timeline").filter(idempotency_key=key.stored).first()
    if export is not None:
        key.check(export.request_hash)
        raise AlreadyCreatedError(export)


def _insert(export: ExportRequest, *, key: IdempotencyKey | None) -> None:
    try:
        export.save(force_insert=True)
    except IntegrityError:
        # Without a slot nothing but the key can clash.
        look_for_created(key=key)
        raise


def _insert_with_place(export: ExportRequest, *, now: datetime) -> bool:
    """Insert the row with a slot where one is free and nobody waits for it; tell whether that was so.

    Such a row never waits, so that nobody needs to look for it.
    """
    place = free_place(export.user_id, now=now)
    if place is None:
        return False
    for name, value in place.items():
        setattr(export, name, value)
    try:
        export.save(force_insert=True)
    except IntegrityError:
        # Somebody else took that slot in between, or has made the same export: the insert without tells.
        for name in place:
            setattr(export, name, None)
        return False
    return True


def retry_export(*, export_id: UUID, by: User, queue: MessageQueue, now: datetime) -> ExportRequest:
    """Begin a further attempt of an export that failed or was cancelled, because a person asks for it.

    It waits behind all that its owner already has waiting at its priority. The owner's quota binds the owner:
    support may go beyond it, to mend what an outage has failed.

    Raises:
        ExportNotFoundError: there is no such export.
        WrongStatusError: it is running, or completed.
        QuotaExceededError: its owner asks, and has as many pending as they may have.
    """
    while True:
        export = read(export_id)
        if by.pk == export.user_id and export.status in RETRYABLE:
            check_quota(export.user_id)
        if begin_again(export, by=by, now=now):
            break
    look(export.user_id, now=now)
    return read(export_id) if admit(queue=queue, now=now) else export


def begin_again(export: ExportRequest, *, by: User, now: datetime) -> bool:
    """Begin a further attempt of an export as it was read, and tell whether the move won.

    Whoever calls it looks afterwards, for the export waits now.

    Raises:
        ExportNotFoundError: it is deleted.
        WrongStatusError: it is running, or completed.
    """
    if export.deleted:
        raise ExportNotFoundError(f"{export.pk} is deleted")
    if export.status not in RETRYABLE:
        raise WrongStatusError(
            export.status,
            f"Only a failed or cancelled export can be retried; this one is {export.status}.",
        )
    if export.notify_pending:
        notify_of_end(export, now=now)
    attempt = export.attempt + 1
    won = move(
        export,
        Status.PENDING,
        Event.RETRIED,
        now=now,
        detail=_by(by, export),
        attempt=attempt,
        asked_attempt=attempt,
        queued_at=now,
        **EMPTIED,
    )
    if won:
        log.info("export.retried", export_id=str(export.pk), attempt=attempt)
    return won


class Stopping(TextChoices):
    """What cancelling an export does to its render."""

    NOT_STARTED = "not_started", "No render had been started."
    STARTING = "starting", "A render is being started at this moment; it is stopped as soon as it is known."
    ASKED = "asked", "Its render was told to stop. What it has rendered until then is paid."
    UNREACHABLE = (
        "unreachable",
        "Its render could not be told to stop: it goes on to its end, is paid, and its file is not used.",
    )


def cancel_export(
    *, export_id: UUID, by: User, queue: MessageQueue, now: datetime
) -> tuple[ExportRequest, Stopping]:
    """Cancel an export that has not ended, stop its render, and say how far that was possible.

    Raises:
        ExportNotFoundError: there is no such export.
        WrongStatusError: it has ended.
    """
    while True:
        export = read(export_id)
        if export.status in ENDED:
            raise WrongStatusError(
                export.status,
                f"Only an export that has not ended can be cancelled; this one is {export.status}.",
            )
        claimed = export.start_token is not None
        if end(export, Status.CANCELLED, Event.CANCELLED, queue=queue, now=now, detail=_by(by, export)):
            log.info("export.cancelled", export_id=str(export.pk), attempt=export.attempt)
            return export, _stop_render(export, claimed=claimed, now=now)


def delete_export(*, export_id: UUID, by: User, queue: MessageQueue, now: datetime) -> None:
    """Delete an export for its owner, and cancel it first where it has not ended.

    Its files go first, then what it is found by, then, in one update, all that its owner has put in it. What
    is left of the row counts what it has cost. Where this stops in between the export is still there, and
    asking again goes on.

    Raises:
        ExportNotFoundError: there is no such export, or not any more.
        ClientError, BotoCoreError: the files can't be deleted now.
    """
    while True:
        export = read(export_id)
        if export.deleted:
            raise ExportNotFoundError(f"{export_id} is deleted")
        if export.status not in ENDED:
            # It may end by itself in between.
            with contextlib.suppress(WrongStatusError):
                cancel_export(export_id=export_id, by=by, queue=queue, now=now)
            continue
        if export.notify_pending:
            notify_of_end(export, now=now)
        if export.attempt > 1 or export.start_token is not None:
            for attempt in range(1, export.attempt + 1):
                delete_output(
                    bucket_name=export.bucket_name or settings.REMOTION_BUCKET,
                    key=export.output_key_of(attempt),
                )
        forget_metadata([export])
        entry = timeline_entry(event=Event.DELETED, status=export.status, attempt=export.attempt, now=now)
        if ExportRequest.objects.filter(pk=export.pk, status=export.status, version=export.version).update(
            deleted=True,
            version=export.version + 1,
            updated_at=now,
            title="",
            input_props={},
            metadata={},
            output_key="",
            output_at=None,
            error_message="",
            errors=[],
            timeline=[entry],
        ):
            log.info("export.deleted", export_id=str(export.pk))
            return


def _stop_render(export: ExportRequest, *, claimed: bool, now: datetime) -> Stopping:
    if export.render_id is None:
        if not claimed:
            return Stopping.NOT_STARTED
        # The worker that has claimed it asks again once it knows the render's id. That of a still it gets
        # with the finished file.
        return Stopping.UNREACHABLE if export.codec in STILLS else Stopping.STARTING
    reached = renders.cancel(bucket_name=export.bucket_name, render_id=export.render_id, now=now)
    return Stopping.ASKED if reached else Stopping.UNREACHABLE


def pause_renders(*, by: str, reason: str, now: datetime) -> Pause:
    """Give no export a slot until :func:`resume_renders`; what has one goes on, and nothing is lost.

    It returns the pause: the earlier one where renders are paused already.
    """
    pause, created = Pause.objects.get_or_create(
        pk=Pause.RENDERS, defaults={"by": by, "reason": reason, "since": now}
    )
    if created:
        log.warning("renders.paused", by=by, reason=reason)
    return pause


def resume_renders(*, by: str, queue: MessageQueue, now: datetime) -> int:
    """End the pause, and return how many exports got a slot at once."""
    if Pause.objects.filter(pk=Pause.RENDERS).delete()[0]:
        log.warning("renders.resumed", by=by)
    return admit(queue=queue, now=now)


def _by(user: User, export: ExportRequest) -> str:
    return "by its owner" if user.pk == export.user_id else f"by {user}"

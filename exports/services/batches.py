"""Batches: many exports that are asked for at once, of which all are recorded or none.

First the batch is inserted, then its rows, ``staged``, which nobody sees and nothing lets render. One update
of the batch commits it, and then its rows are released: they wait, as if each had been asked for. Where the
process dies before that update, nothing was asked for, and the same request with the same key goes on where
it ended. Where it dies after it, all was asked for, and the sweeper goes on.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import IntegrityError

from exports.costs import estimate
from exports.idempotency import FORGOTTEN, IN_USE, IdempotencyKey, KeyInUseError
from exports.models import Batch, ExportRequest, Project, User
from exports.queue import MessageQueue
from exports.services.line import admit, look
from exports.services.moves import ExportNotFoundError, read
from exports.services.quotas import QuotaExceededError, check_quota
from exports.services.requests import (
    WrongStatusError,
    begin_again,
    forget_metadata,
    index_metadata,
    new_export,
)
from exports.states import Status
from renderhub.ids import row_id

log = structlog.get_logger(__name__)

KEPT_UNCOMMITTED: Final = timedelta(hours=24)
"""How long a batch that was not committed can be completed. It is longer than any request lives."""

_DISCARDED_FOR: Final = timedelta(hours=1)
"""How long after that its rows are deleted: so long may a request live that still inserts some."""

_ROWS_AT_ONCE: Final = 100

_MAX_CLASHES: Final = 5
"""How often nothing new may be found after a clash: metadata may clash before the rows are seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOrder:
    """What is asked for, checked.

    Attributes:
        total: how many rows were sent.
        orders: what :func:`exports.services.requests.new_export` takes, by the number of the row.
        refusals: what is wrong with the other rows, JSON-ready.
    """

    total: int
    orders: Mapping[int, Mapping[str, Any]]
    refusals: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


def find_batch(*, key: IdempotencyKey | None, queue: MessageQueue, now: datetime) -> Batch | None:
    """Return the committed batch that an earlier request with this key has made, ``None`` without one.

    Raises:
        KeyReusedError: that request was another one.
    """
    batch = _keyed(key)
    if batch is None or batch.stage == Batch.Stage.STAGED:
        return None
    _let_wait(batch, queue=queue, now=now)
    return batch


def create_batch(
    *, project: Project, order: BatchOrder, key: IdempotencyKey | None, queue: MessageQueue, now: datetime
) -> Batch:
    """Record a batch and let its rows wait, or go on where the same request ended.

    Args:
        project: what is exported.
        order: what is asked for.
        key: what tells a repetition of the request from another one.
        queue: takes the messages of those that can render at once.
        now: the present moment.

    Raises:
        KeyInUseError: a repetition is at it that has found the project changed, or it was just given up.
        KeyReusedError: another request has used the key.
        QuotaExceededError: its owner would have more pending than they may have.
    """
    plan = _plan_of(project, order)
    while True:
        batch = _keyed(key)
        if batch is None or batch.stage == Batch.Stage.STAGED:
            try:
                check_quota(project.user_id, wanted=len(order.orders))
            except QuotaExceededError:
                # What this request makes at this moment elsewhere is within it.
                made = find_batch(key=key, queue=queue, now=now)
                if made is None:
                    raise
                return made
        batch = batch or _insert(project=project, order=order, key=key, plan=plan, now=now)
        if batch is None:
            continue
        if batch.stage == Batch.Stage.STAGED and batch.plan != plan:
            # The project has changed in between: what is staged must not be mixed with what would be now.
            if batch.created_at >= now:
                raise KeyInUseError(IN_USE)
            _discard(batch)
            continue
        if batch.stage == Batch.Stage.STAGED:
            _stage_rows(batch, project=project, order=order)
            if _commit(batch, now=now):
                log.info("batch.committed", batch_id=str(batch.pk), rows=batch.accepted)
            elif not _was_committed(batch):
                # To begin anew here could go on for ever, each giving up what the other has begun.
                raise KeyInUseError(IN_USE)
        _let_wait(batch, queue=queue, now=now)
        return batch


def release_batches(*, now: datetime, limit: int = 20) -> int:
    """Let the rows of committed batches wait whose request died before it did, and return of how many.

    Args:
        now: the present moment.
        limit: how many batches to look at.
    """
    left = list(Batch.objects.left_at(Batch.Stage.COMMITTED, before=now)[:limit])
    for batch in left:
        _release(batch)
        look(batch.user_id, now=now)
        log.info("batch.released_late", batch_id=str(batch.pk))
    return len(left)


def delete_uncommitted_batches(*, now: datetime, limit: int = 20) -> int:
    """Give up the batches that nobody has completed, and delete the rows of those given up before.

    Args:
        now: the present moment.
        limit: how many batches to look at, of either kind.
    """
    stages = Batch.Stage
    abandoned = Batch.objects.left_at(stages.STAGED, before=now - KEPT_UNCOMMITTED)
    for batch in abandoned[:limit]:
        if _discard(batch):
            log.info("batch.discarded", batch_id=str(batch.pk))
    deleted = 0
    discarded = Batch.objects.left_at(stages.DISCARDED, before=now - KEPT_UNCOMMITTED - _DISCARDED_FOR)
    for batch in discarded[:limit]:
        rows = ExportRequest.objects.staged(batch)
        forget_metadata(rows.only("user_id", "metadata"))
        rows.delete()
        batch.delete()
        deleted += 1
    return deleted


def retry_batch(*, batch_id: UUID, by: User, queue: MessageQueue, now: datetime) -> int:
    """Begin a further attempt of each export of a batch that failed, and return of how many.

    Where this process dies in between, the others are still failed: asked again, it takes those.

    Raises:
        QuotaExceededError: its owner asks, and would have more pending than they may have.
    """
    failed = ExportRequest.objects.filter(batch_id=batch_id, status=Status.FAILED, deleted=False).order_by(
        "row"
    )
    exports = list(failed.defer("input_props", "errors"))
    if exports and by.pk == exports[0].user_id:
        check_quota(by.pk, wanted=len(exports))
    count = 0
    for seen in exports:
        export = seen
        try:
            while not begin_again(export, by=by, now=now):
                export = read(export.pk)
        except (WrongStatusError, ExportNotFoundError):
            # Somebody else has retried it, or deleted it.
            continue
        count += 1
    if count:
        look(exports[0].user_id, now=now)
        admit(queue=queue, now=now)
    return count


def _keyed(key: IdempotencyKey | None) -> Batch | None:
    if key is None:
        return None
    batch = Batch.objects.filter(idempotency_key=key.stored).first()
    if batch is not None:
        key.check(batch.request_hash)
    return batch


def _insert(
    *, project: Project, order: BatchOrder, key: IdempotencyKey | None, plan: str, now: datetime
) -> Batch | None:
    """Insert a batch; ``None`` where another request with the same key was quicker."""
    batch = Batch(
        user_id=project.user_id,
        project=project,
        total=order.total,
        accepted=len(order.orders),
        refusals=list(order.refusals),
        plan=plan,
        created_at=now,
        **(key.columns(now=now) if key else {}),
    )
    try:
        batch.save(force_insert=True)
    except IntegrityError:
        if _keyed(key) is None:
            raise
        return None
    return batch


def _plan_of(project: Project, order: BatchOrder) -> str:
    """Return what the rows are made of besides the request, which a repetition may find changed."""
    made_of = [project.updated_at.isoformat(), sorted(order.orders)]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


def _stage_rows(batch: Batch, *, project: Project, order: BatchOrder) -> None:
    """Insert the rows that aren't there yet."""
    costs = {
        codec: estimate(project=project, codec=codec)
        for codec in {row["codec"] for row in order.orders.values()}
    }
    known, clashes = -1, 0
    while True:
        there = set(ExportRequest.objects.filter(batch_id=batch.pk).values_list("row", flat=True))
        missing = sorted(order.orders.keys() - there)
        try:
            for start in range(0, len(missing), _ROWS_AT_ONCE):
                exports = [
                    _staged(batch, project=project, row=row, order=order.orders[row], costs=costs)
                    for row in missing[start : start + _ROWS_AT_ONCE]
                ]
                index_metadata(exports)
                ExportRequest.objects.bulk_create(exports)
        except IntegrityError:
            # The same request at the same moment has inserted some of them, or of their metadata, or the
            # batch was deleted.
            clashes = 1 if len(there) > known else clashes + 1
            known = len(there)
            if not Batch.objects.filter(pk=batch.pk, stage=Batch.Stage.STAGED).exists():
                return
            if clashes > _MAX_CLASHES:
                raise
        else:
            return


def _staged(
    batch: Batch, *, project: Project, row: int, order: Mapping[str, Any], costs: Mapping[str, Decimal]
) -> ExportRequest:
    cost = costs[order["codec"]]
    export = new_export(project=project, estimated_cost_usd=cost, now=batch.created_at, **order)
    export.id, export.batch, export.row = row_id(batch.pk, row), batch, row
    export.status = Status.STAGED
    return export


def _commit(batch: Batch, *, now: datetime) -> bool:
    """Make the batch count, and tell whether this call did: from here on all of its rows will render."""
    changes = {"stage": Batch.Stage.COMMITTED, "committed_at": now}
    won = Batch.objects.filter(pk=batch.pk, stage=Batch.Stage.STAGED).update(**changes)
    if won:
        batch.stage, batch.committed_at = Batch.Stage.COMMITTED, now
    return bool(won)


def _was_committed(batch: Batch) -> bool:
    """Tell whether another request with the same key was quicker, and read the batch as it left it."""
    seen = Batch.objects.filter(pk=batch.pk).values_list("stage", "committed_at").first()
    if seen is None or seen[1] is None:
        return False
    batch.stage, batch.committed_at = seen
    return True


def _discard(batch: Batch) -> bool:
    """Give up a batch that isn't committed, and free its key; tell whether this call did."""
    return bool(
        Batch.objects.filter(pk=batch.pk, stage=Batch.Stage.STAGED).update(
            stage=Batch.Stage.DISCARDED, **FORGOTTEN
        )
    )


def _release(batch: Batch) -> None:
    """Let the rows of a committed batch wait; any number of calls do it once."""
    ExportRequest.objects.staged(batch).update(
        status=Status.PENDING, queued_at=batch.committed_at, updated_at=batch.committed_at
    )
    Batch.objects.filter(pk=batch.pk, stage=Batch.Stage.COMMITTED).update(stage=Batch.Stage.RELEASED)
    batch.stage = Batch.Stage.RELEASED


def _let_wait(batch: Batch, *, queue: MessageQueue, now: datetime) -> None:
    if batch.stage == Batch.Stage.COMMITTED:
        _release(batch)
        look(batch.user_id, now=now)
        admit(queue=queue, now=now)

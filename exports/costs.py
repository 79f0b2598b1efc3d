"""What exports have cost, and what they will.

Every part is a number that is kept with the export times a price, so that a sum over exports is priced as one
export is. docs/costs.md says which numbers are measured, and what isn't in them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from django.conf import settings
from django.db.models import Count, F, QuerySet, Sum
from django.db.models.functions import TruncDay

from exports.models import ExportRequest, Project
from exports.pricing import Architecture, Prices, prices_of
from exports.states import RUNNING, SHOWN, Status

CURRENCY: Final = "USD"

WORKER_ARCHITECTURE: Final = Architecture.ARM64
"""As ``infra/template.yaml`` says."""

REMOTION_ARCHITECTURE: Final = Architecture.ARM64
"""Remotion's functions run on nothing else."""

MAX_GROUPS: Final = 1000

_LAST: Final = 20
_DECIMALS: Final = Decimal("0.00000001")
_DAYS_PER_MONTH: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What exports have used.

    Attributes:
        render_usd: what their renders have cost, as Remotion tells.
        worker_mb_ms: the worker's memory in MB times its milliseconds.
        messages: how many messages the worker has taken, each in an invocation of its own.
        files: how many files were made.
        output_bytes: how large these are together.
    """

    render_usd: Decimal
    worker_mb_ms: int
    messages: int
    files: int
    output_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """An amount of US dollars, by what it is paid for.

    Attributes:
        remotion: Remotion's functions.
        worker: the worker's function.
        queue: requests to SQS.
        storage: the files in S3, each for as long as they are kept, written once and read once.
        transfer: sending each file to the internet once.
    """

    remotion: Decimal = Decimal(0)
    worker: Decimal = Decimal(0)
    queue: Decimal = Decimal(0)
    storage: Decimal = Decimal(0)
    transfer: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        """All of it."""
        return sum(self.parts().values(), Decimal(0))

    def parts(self) -> dict[str, Decimal]:
        """Return the amounts by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def __add__(self, other: "Cost") -> "Cost":
        theirs = other.parts()
        return Cost(**{name: amount + theirs[name] for name, amount in self.parts().items()})


def cost_of(usage: Usage, *, prices: Prices) -> Cost:
    """Return what has been used at these prices."""
    return Cost(
        remotion=usage.render_usd,
        worker=prices.compute(
            architecture=WORKER_ARCHITECTURE, mb_ms=usage.worker_mb_ms, invocations=usage.messages
        ),
        queue=prices.queue(messages=usage.messages),
        storage=prices.storage(size_bytes=usage.output_bytes, months=kept_months())
        + prices.requests(puts=usage.files, gets=usage.files),
        transfer=prices.transfer(size_bytes=usage.output_bytes),
    )


def kept_months() -> Decimal:
    """Return for how long a file is paid for: one month where it is kept for ever."""
    days = settings.OUTPUT_RETENTION_DAYS
    return Decimal(days) / _DAYS_PER_MONTH if days else Decimal(1)


def present_prices() -> Prices:
    """Return the prices of the deployment's region."""
    return prices_of(settings.AWS_REGION)


# --- One export ---------------------------------------------------------------------------------------------


def spent_on(export: ExportRequest) -> Cost:
    """Return what an export has cost up to now, over all its attempts."""
    usage = Usage(
        render_usd=export.render_cost_usd,
        worker_mb_ms=export.worker_mb_ms,
        messages=export.worker_messages,
        files=int(export.status == Status.COMPLETED),
        output_bytes=export.output_size_bytes or 0,
    )
    return cost_of(usage, prices=present_prices())


def still_to_come(*, spent: Decimal, estimated: Decimal) -> Decimal:
    """Return what exports that have not ended will cost besides what they have: never less than nothing."""
    return max(estimated - spent, Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmeasuredRender:
    """A render that nobody has measured: what a new project's first export is taken for.

    Attributes:
        wall_s: how long it takes by the clock.
        billed_s: the time of all of Remotion's functions together.
        memory_mb: the memory of each.
        functions: how many there are.
        messages: a start, and as many polls as that time by the clock takes.
        step_ms: how long the worker takes for each message.
        worker_memory_mb: the worker's memory, as ``infra/template.yaml`` says.
        output_bytes: the file's size.
    """

    wall_s: int = 60
    billed_s: int = 120
    memory_mb: int = 3072
    functions: int = 21
    messages: int = 12
    step_ms: int = 250
    worker_memory_mb: int = 512
    output_bytes: int = 50_000_000

    def usage(self, *, prices: Prices) -> Usage:
        """Return what it uses."""
        return Usage(
            render_usd=prices.compute(
                architecture=REMOTION_ARCHITECTURE,
                mb_ms=self.memory_mb * self.billed_s * 1000,
                invocations=self.functions,
            ),
            worker_mb_ms=self.worker_memory_mb * self.step_ms * self.messages,
            messages=self.messages,
            files=1,
            output_bytes=self.output_bytes,
        )


def estimate(*, project: Project, codec: str) -> Decimal:
    """Return what an export of a project will probably cost, in US dollars.

    It is the mean of the project's last exports with this codec that were completed, or else the price of a
    :class:`UnmeasuredRender`.
    """
    prices = present_prices()
    usage, number = measured(ExportRequest.objects.filter(project=project, codec=codec), limit=_LAST)
    if not number:
        usage, number = UnmeasuredRender().usage(prices=prices), 1
    return (cost_of(usage, prices=prices).total / number).quantize(_DECIMALS)


def measured(exports: QuerySet[ExportRequest], *, limit: int) -> tuple[Usage, int]:
    """Return what the last of these exports that were completed at a known cost have used, and how many."""
    rows = (
        exports.filter(status=Status.COMPLETED, completed_at__isnull=False, render_cost_usd__gt=0)
        .order_by("-completed_at")
        .values_list("render_cost_usd", "worker_mb_ms", "worker_messages", "output_size_bytes")[:limit]
    )
    render_usd, mb_ms, messages, size_bytes, number = Decimal(0), 0, 0, 0, 0
    for row in rows:
        render_usd, mb_ms, messages = render_usd + row[0], mb_ms + row[1], messages + row[2]
        size_bytes, number = size_bytes + (row[3] or 0), number + 1
    usage = Usage(
        render_usd=render_usd,
        worker_mb_ms=mb_ms,
        messages=messages,
        files=number,
        output_bytes=size_bytes,
    )
    return usage, number


# --- Many exports -------------------------------------------------------------------------------------------


class GroupBy(StrEnum):
    """What costs are told by."""

    DAY = "day"
    PROJECT = "project"
    STATUS = "status"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What some exports have cost, and will.

    Attributes:
        key: a day, a project's id or a status; ``None`` for deleted projects, and for a total.
        title: a project's title.
        exports: how many there are.
        running: how many of them have not ended.
        spent: what all of them have cost.
        estimated: what those that run will probably cost besides, in US dollars.
    """

    key: str | None = None
    title: str | None = None
    exports: int = 0
    running: int = 0
    spent: Cost = Cost()
    estimated: Decimal = Decimal(0)


_KEYS: Final[Mapping[GroupBy, Any]] = {
    GroupBy.DAY: TruncDay("created_at"),
    GroupBy.PROJECT: F("project_id"),
    GroupBy.STATUS: F("status"),
}


def costs_by(
    group_by: GroupBy, *, user_id: Any, after: datetime, before: datetime
) -> tuple[Group, list[Group]]:
    """Return what a user's exports have cost altogether, and by day, project or status.

    One query adds up, whatever the number of exports; one more reads the projects' titles.

    An export counts where it was asked for, and as it now stands. Days are in UTC, the newest first; projects
    come by what was spent on them, the most first, :data:`MAX_GROUPS` at the most; statuses in the order of
    an export's life.

    Args:
        group_by: what to tell them by.
        user_id: whose exports.
        after: those that were asked for at this moment or later …
        before: … and before this one.
    """
    rows = (
        ExportRequest.objects.filter(user_id=user_id, created_at__gte=after, created_at__lt=before)
        .exclude(status=Status.STAGED)
        .annotate(key=_KEYS[group_by])
        .values("key", "status")
        .annotate(
            exports=Count("pk"),
            usd=Sum("render_cost_usd"),
            mb_ms=Sum("worker_mb_ms"),
            messages=Sum("worker_messages"),
            size_bytes=Sum("output_size_bytes"),
            expected=Sum("estimated_cost_usd"),
        )
        .order_by()
    )
    by_key: dict[str | None, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_key[_word(row["key"])].append(row)
    prices = present_prices()
    groups = [_group(key, members, prices=prices) for key, members in by_key.items()]
    total = _total(groups)
    match group_by:
        case GroupBy.DAY:
            groups.sort(key=lambda group: str(group.key), reverse=True)
        case GroupBy.PROJECT:
            groups.sort(key=lambda group: (-group.spent.total, str(group.key)))
            groups = _titled(groups[:MAX_GROUPS])
        case GroupBy.STATUS:
            groups.sort(key=lambda group: [status for status, _ in SHOWN].index(str(group.key)))
    return total, groups


def _word(key: Any) -> str | None:
    if key is None:
        return None
    return key.date().isoformat() if isinstance(key, datetime) else str(key)


def _titled(groups: Sequence[Group]) -> list[Group]:
    keys = [group.key for group in groups if group.key is not None]
    titles = {str(pk): title for pk, title in Project.objects.filter(pk__in=keys).values_list("pk", "title")}
    return [replace(group, title=titles.get(str(group.key))) for group in groups]


def _group(key: str | None, rows: Iterable[Mapping[str, Any]], *, prices: Prices) -> Group:
    exports = running = 0
    spent, spent_on_running, expected = Cost(), Cost(), Decimal(0)
    for row in rows:
        usage = Usage(
            render_usd=row["usd"],
            worker_mb_ms=row["mb_ms"],
            messages=row["messages"],
            files=row["exports"] if row["status"] == Status.COMPLETED else 0,
            output_bytes=row["size_bytes"] or 0,
        )
        cost = cost_of(usage, prices=prices)
        exports, spent = exports + row["exports"], spent + cost
        if row["status"] in RUNNING:
            running, spent_on_running = running + row["exports"], spent_on_running + cost
            expected += row["expected"]
    estimated = still_to_come(spent=spent_on_running.total, estimated=expected)
    return Group(key=key, exports=exports, running=running, spent=spent, estimated=estimated)


def _total(groups: Iterable[Group]) -> Group:
    total = Group()
    for group in groups:
        total = Group(
            exports=total.exports + group.exports,
            running=total.running + group.running,
            spent=total.spent + group.spent,
            estimated=total.estimated + group.estimated,
        )
    return total

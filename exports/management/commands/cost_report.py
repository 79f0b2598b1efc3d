from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from exports.costs import (
    REMOTION_ARCHITECTURE,
    WORKER_ARCHITECTURE,
    UnmeasuredRender,
    cost_of,
    kept_months,
    measured,
    present_prices,
)
from exports.models import ExportRequest
from exports.pricing import MB_MS_PER_GB_SECOND, PRICES, Architecture, Prices
from exports.services.messages import next_poll_at

_SLEEPER_MB: Final = 2048
_ONE_MONTH: Final = Decimal(1)
_MEASURED: Final = 1000
_BYTES_PER_MB: Final = 1_000_000

# Remotion's main function writes its progress no oftener than each 250 ms.
_PROGRESS_WRITES_PER_S: Final = 4
# Lambda keeps five long polls of 20 s at a queue, whether messages come or not.
_IDLE_RECEIVES_PER_MONTH: Final = 5 * 30 * 86_400 // 20

_NOTE: Final = """\
All of this is arithmetic. Remotion's functions run on arm64 in any case: the first table has the price of x86
because the usual reckoning has it. Free allowances but transfer's, taxes and Remotion's licence are left out.
"""

_USUAL: Final = UnmeasuredRender()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a table, in US dollars.

    Attributes:
        name: what is paid for.
        detail: how much of it.
        month: what it costs for all exports of a month.
    """

    name: str
    detail: str
    month: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """The exports of a month, each alike.

    Attributes:
        exports: how many there are.
        render: what each is like.
        prices: what is paid for it.
    """

    exports: int
    render: UnmeasuredRender
    prices: Prices

    def sleeping(self) -> list[Line]:
        """Return the reference, as it is usually reckoned: x86, and no invocations."""
        compute, render, n = self.prices.compute, self.render, self.exports
        x86 = Architecture.X86_64
        asleep = compute(architecture=x86, mb_ms=_SLEEPER_MB * render.wall_s * 1000)
        rendering = compute(architecture=x86, mb_ms=render.memory_mb * render.billed_s * 1000)
        size = render.output_bytes
        return [
            Line(name="worker", detail=f"{_gb(_SLEEPER_MB)} x {render.wall_s} s, {x86}", month=n * asleep),
            Line(name="Remotion", detail=self._rendering(x86), month=n * rendering),
            Line(name="queue", detail="3 requests", month=n * self.prices.queue(messages=1)),
            Line(
                name="storage",
                detail=f"{_mb(size)} for a month",
                month=n * self.prices.storage(size_bytes=size, months=_ONE_MONTH),
            ),
            self._transfer(),
        ]

    def awake(self) -> list[Line]:
        """Return what renderhub pays: a worker that takes a moment for each message."""
        render, n = self.render, self.exports
        cost = cost_of(render.usage(prices=self.prices), prices=self.prices)
        step = f"{render.messages} messages x {render.step_ms} ms x {_gb(render.worker_memory_mb)}"
        months = kept_months().quantize(Decimal("0.1")).normalize()
        return [
            Line(name="worker", detail=f"{step}, {WORKER_ARCHITECTURE}", month=n * cost.worker),
            Line(
                name="Remotion",
                detail=f"{self._rendering(REMOTION_ARCHITECTURE)}, {render.functions} functions",
                month=n * cost.remotion,
            ),
            Line(name="queue", detail=f"{render.messages} messages x 3 requests", month=n * cost.queue),
            Line(
                name="storage",
                detail=f"{_mb(render.output_bytes)} x {months:f} months, 1 write, 1 read",
                month=n * cost.storage,
            ),
            self._transfer(),
        ]

    def besides(self) -> list[Line]:
        """Return what neither table counts, at the most."""
        render, n = self.render, self.exports
        answers = self.prices.compute(
            architecture=REMOTION_ARCHITECTURE,
            mb_ms=render.memory_mb * render.step_ms * render.messages,
            invocations=render.messages,
        )
        writes = _PROGRESS_WRITES_PER_S * render.wall_s
        idle = _IDLE_RECEIVES_PER_MONTH
        return [
            Line(
                name="answers",
                detail=f"Remotion's, {render.messages} x {render.step_ms} ms x {_gb(render.memory_mb)}",
                month=n * answers,
            ),
            Line(
                name="progress",
                detail=f"Remotion's {writes} writes to S3",
                month=n * self.prices.requests(puts=writes, gets=0),
            ),
            Line(
                name="listening",
                detail=f"Lambda's {idle:,} requests to SQS a month",
                month=idle * self.prices.sqs_request,
            ),
        ]

    def _rendering(self, architecture: Architecture) -> str:
        return f"{_gb(self.render.memory_mb)} x {self.render.billed_s} s, {architecture}"

    def _transfer(self) -> Line:
        size, free = self.render.output_bytes, self.prices.transfer_free_gb
        return Line(
            name="transfer",
            detail=f"{_mb(size)} once, {free} GB a month free",
            month=self.prices.transfer(size_bytes=self.exports * size, free_gb=free),
        )


class Command(BaseCommand):
    """What a month of exports costs."""

    help = (
        "What a month of exports costs at AWS's list prices: with a worker that sleeps through each render, "
        "and with renderhub's own. docs/costs.md has the sources."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Define what a month is like, and each export of it."""
        for name, default, text in (
            ("exports", 1000, "exports a month"),
            ("render-seconds", _USUAL.billed_s, "billed time of all of Remotion's functions for one export"),
            ("render-memory-mb", _USUAL.memory_mb, "memory of each of these"),
            ("render-functions", _USUAL.functions, "how many of them there are"),
            ("wall-seconds", _USUAL.wall_s, "how long a render takes by the clock"),
            ("output-mb", _USUAL.output_bytes // _BYTES_PER_MB, "size of the file, in millions of bytes"),
            ("step-ms", _USUAL.step_ms, "how long the worker takes for a message"),
            ("worker-memory-mb", _USUAL.worker_memory_mb, "the worker's memory"),
        ):
            parser.add_argument(
                f"--{name}", type=_count, default=default, metavar="N", help=f"{text} (%(default)s)"
            )
        parser.add_argument("--region", default="", help="an AWS region; unset: AWS_REGION")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the two tables, what is in neither, and what was measured here."""
        month = _month(options)
        render, prices = month.render, month.prices
        asleep = _SLEEPER_MB * render.wall_s * 1000
        steps = render.worker_memory_mb * render.step_ms * render.messages
        self.stdout.write(
            f"{month.exports:,} exports a month in {prices.region}, at the list prices of {prices.as_of}, "
            f"in US dollars\n{'':62}{'an export':>12}{'a month':>14}"
        )
        self._table("A worker that sleeps through each render", month.sleeping(), month=month)
        self._table("renderhub", month.awake(), month=month)
        self._table("In neither, at the most", month.besides(), month=month, total=False)
        self.stdout.write(
            f"\nThe worker alone: {_gb_seconds(asleep)} GB-seconds asleep, {_gb_seconds(steps)} in steps."
            f"\n{_NOTE}"
        )
        self.stdout.write(_measured_here())

    def _table(self, title: str, lines: Sequence[Line], *, month: Month, total: bool = True) -> None:
        self.stdout.write(f"\n{title}")
        if total:
            lines = [
                *lines,
                Line(name="total", detail="", month=sum((line.month for line in lines), Decimal(0))),
            ]
        for line in lines:
            one = line.month / month.exports
            self.stdout.write(f"  {line.name:<10}{line.detail:<50}{one:>12.7f}{line.month:>14,.4f}")


def _month(options: dict[str, Any]) -> Month:
    region = options["region"]
    if region and region not in PRICES:
        raise CommandError(f"No prices are known of {region!r}; there are those of {', '.join(PRICES)}.")
    render = UnmeasuredRender(
        wall_s=options["wall_seconds"],
        billed_s=options["render_seconds"],
        memory_mb=options["render_memory_mb"],
        functions=options["render_functions"],
        messages=1 + _polls(options["wall_seconds"]),
        step_ms=options["step_ms"],
        worker_memory_mb=options["worker_memory_mb"],
        output_bytes=options["output_mb"] * _BYTES_PER_MB,
    )
    prices = PRICES[region] if region else present_prices()
    return Month(exports=options["exports"], render=render, prices=prices)


def _polls(wall_s: int) -> int:
    """Return how often a render that takes so long is looked at, as the sweeper does it."""
    begun = now = datetime(2026, 1, 1, tzinfo=UTC)
    polls = 0
    while (now := next_poll_at(started_at=begun, now=now)) < begun + timedelta(seconds=wall_s):
        polls += 1
    return polls


def _measured_here() -> str:
    usage, n = measured(ExportRequest.objects.all(), limit=_MEASURED)
    if not n:
        return "Nothing was measured here: no export was completed that Remotion told a cost of."
    total = cost_of(usage, prices=present_prices()).total
    size_mb = usage.output_bytes / n / _BYTES_PER_MB
    return (
        f"Measured here, the mean of the last {n:,} completed exports: ${total / n:.7f} altogether, of it "
        f"${usage.render_usd / n:.7f} for Remotion;\na file of {size_mb:,.1f} MB; "
        f"{usage.messages / n:.1f} messages with {_gb_seconds(usage.worker_mb_ms / n)} GB-seconds of worker."
    )


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise ArgumentTypeError(f"{text!r} is no whole number above 0")
    return number


def _gb(mb: int) -> str:
    return f"{Decimal(mb) / 1024:.2f} GB"


def _mb(size_bytes: int) -> str:
    return f"{size_bytes // _BYTES_PER_MB:,} MB"


def _gb_seconds(mb_ms: float) -> str:
    return f"{mb_ms / MB_MS_PER_GB_SECOND:.2f}"

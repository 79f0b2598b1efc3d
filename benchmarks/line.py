"""What the line costs with 10 and with 10,000 waiting: ``python -m benchmarks.line``.

For each step of the line it prints the number of its queries and the median of its times, on the database of
``DATABASE_URL`` (SQLite in a file where it is unset; a PostgreSQL server gets a database of its own for the
run), then the plan of each query as that database tells it with 10,000 waiting.

Beside those who wait lie 20,000 exports that have ended, so that a query that reads the whole table shows.
The queue takes every message at once: what SQS adds is the same at any length of the line.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

RESULT: Final = Path(__file__).parent.parent / "build" / "bench-line.json"
SHAPES: Final = ((10, 10), (10_000, 20), (10_000, 10_000))
"""How many wait, and of how many users."""

ENDED: Final = 20_000
NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One step, measured.

    Attributes:
        step: what was done.
        queries: how many queries it took.
        median_ms: the median of its times.
        plans: each of its queries, as far as it reads rows, with its plan.
    """

    step: str
    queries: int
    median_ms: float
    plans: dict[str, list[str]]


class Queue:
    """Takes every message at once."""

    def send(self, messages: Sequence[object]) -> list[str | None]:
        """Return an id for each."""
        return ["m"] * len(messages)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30, help="measurements of each step")
    options = parser.parse_args()
    with database() as vendor:
        results = {}
        for waiting, users in SHAPES:
            line = Line(waiting=waiting, users=users)
            results[f"{waiting:,} waiting, {users:,} users"] = line.measure(options.repeats)
    _print(vendor, results)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(_dump(vendor, results), indent=2) + "\n")


@contextmanager
def database() -> Iterator[str]:
    """Set Django up with an empty database of its own; yield what kind it is."""
    os.environ.setdefault("DEBUG", "1")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "renderhub.settings")
    import django

    django.setup()
    import logging

    from django.conf import settings
    from django.db import connection

    from notifications.transports import websocket

    logging.disable(logging.CRITICAL)
    settings.DEBUG = False
    # Nobody's page is open.
    with tempfile.TemporaryDirectory() as folder, patch.object(websocket, "push"):
        if connection.vendor == "sqlite":
            connection.settings_dict["TEST"]["NAME"] = f"{folder}/line.sqlite3"
        connection.creation.create_test_db(verbosity=0, autoclobber=True)
        try:
            yield connection.vendor
        finally:
            connection.creation.destroy_test_db(connection.settings_dict["NAME"], verbosity=0)


class Line:
    """A table with exports that have ended, that wait and that hold every slot.

    Args:
        waiting: how many wait.
        users: of how many users.
    """

    def __init__(self, *, waiting: int, users: int) -> None:
        from django.conf import settings
        from django.contrib.auth.models import User
        from django.db import connection

        from exports import services
        from exports.models import ExportRequest, Project
        from exports.states import Status

        ExportRequest.objects.all().delete()
        Project.objects.all().delete()
        User.objects.all().delete()
        self.queue = Queue()
        self.now = NOW
        people = User.objects.bulk_create(
            User(username=f"u{n}", email=f"u{n}@example.com") for n in range(users)
        )
        self.projects = Project.objects.bulk_create(
            Project(user=user, title="T", composition_id="M") for user in people
        )
        ExportRequest.objects.bulk_create(
            self._row(n, status=Status.COMPLETED, completed_at=NOW) for n in range(ENDED)
        )
        self.created: Any = None
        running = settings.RENDER_MAX_CONCURRENCY
        ExportRequest.objects.bulk_create(
            self._row(n, status=Status.PENDING) for n in range(waiting + running)
        )
        services.mend_line(queue=self.queue, now=self.now)
        if connection.vendor != "sqlite":
            # As autovacuum does; nobody does it for SQLite.
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")

    def _row(self, number: int, **columns: Any) -> Any:
        from exports.models import ExportRequest

        project = self.projects[number % len(self.projects)]
        self.now += timedelta(milliseconds=1)
        return ExportRequest(
            project=project,
            user_id=project.user_id,
            title="T",
            composition_id="M",
            serve_url="https://example.com/sites/main/index.html",
            codec="h264",
            created_at=self.now,
            queued_at=self.now,
            updated_at=self.now,
            **columns,
        )

    def measure(self, repeats: int) -> list[Measured]:
        """Measure every step."""
        from exports import services
        from exports.models import ExportRequest
        from exports.representations import queue_position
        from exports.services.line import look

        last = ExportRequest.objects.waiting().order_by("-queued_at")[0]
        steps: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
            "create an export": (self._uncreated, self._create),
            "free a slot, and let the next in": (self._claimed, self._complete),
            "find the head of the line": (lambda: None, lambda _: ExportRequest.objects.line().first()),
            "look at one user's lane": (
                lambda: None,
                lambda _: look(self.projects[-1].user_id, now=self.now),
            ),
            "count a user's pending exports": (
                lambda: None,
                lambda _: services.check_quota(self.projects[-1].user_id),
            ),
            "tell the place in the line": (lambda: last, queue_position),
            "sweep: what is due": (
                lambda: None,
                lambda _: services.handle_due(queue=self.queue, now=NOW - timedelta(days=1)),
            ),
            "sweep: the line": (
                lambda: None,
                lambda _: services.mend_line(queue=self.queue, now=self.now),
            ),
            "sweep: notifications": (lambda: None, lambda _: services.notify_left_over(now=self.now)),
        }
        return [self._measure(name, prepare, act, repeats) for name, (prepare, act) in steps.items()]

    def _uncreated(self) -> None:
        """Take back what the measurement before has added, so that each finds the line as long."""
        from exports import services

        if self.created is not None:
            services.cancel_export(
                export_id=self.created.pk, by=self.created.user, queue=self.queue, now=self.now
            )

    def _create(self, _: object = None) -> None:
        from exports import services

        project = self.projects[-1]
        self.created = services.create_export(
            project=project,
            composition_id="M",
            serve_url="https://example.com/sites/main/index.html",
            codec="h264",
            input_props={},
            queue=self.queue,
            now=self.now,
        )

    def _claimed(self) -> Any:
        """Return an export that renders, with one more behind it than there will be afterwards."""
        from exports import services
        from exports.models import ExportRequest
        from lambda_worker.contract import RenderStarted

        self._create()
        row = ExportRequest.objects.holders().filter(start_token=None).order_by("updated_at")[0]
        invocation = str(row.pk)
        claim = RenderStarted(
            export_id=str(row.pk), attempt=row.attempt, token=invocation, version=row.version
        )
        services.claim_render(report=claim, now=self.now)
        return row

    def _complete(self, row: Any) -> None:
        from exports import services
        from lambda_worker.contract import RenderSuccess

        report = RenderSuccess(
            export_id=str(row.pk),
            attempt=row.attempt,
            render_id=f"r{row.pk}",
            bucket_name="b",
            output_size_bytes=1,
        )
        services.complete_export(report=report, queue=self.queue, now=self.now)

    def _measure(
        self, step: str, prepare: Callable[[], Any], act: Callable[[Any], Any], repeats: int
    ) -> Measured:
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        subject = prepare()
        with CaptureQueriesContext(connection) as captured:
            act(subject)
        times = []
        for _ in range(repeats):
            self.now += timedelta(seconds=1)
            subject = prepare()
            started = time.perf_counter()
            act(subject)
            times.append(time.perf_counter() - started)
        queries = [each["sql"] for each in captured.captured_queries]
        return Measured(
            step=step,
            queries=len(queries),
            median_ms=statistics.median(times) * 1000,
            plans={sql: plan_of(sql) for sql in queries if sql.split()[0] in ("SELECT", "UPDATE")},
        )


def plan_of(sql: str) -> list[str]:
    """Return the plan of a query, line by line, as the database tells it."""
    from django.db import connection

    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(" ".join((explain, sql)))
        return [str(row[-1]) for row in cursor.fetchall()]


def _print(vendor: str, results: dict[str, list[Measured]]) -> None:
    shapes = list(results)
    print(f"{vendor}: queries and median time")
    print("".join([" " * 36, *(f"{shape:>32}" for shape in shapes)]))
    for index, first in enumerate(results[shapes[0]]):
        cells = [results[shape][index] for shape in shapes]
        print(
            f"{first.step:36}" + "".join(f"{each.queries:>18} {each.median_ms:>10.2f} ms" for each in cells)
        )
    for shape in shapes[1:]:
        print(f"\nPlans with {shape}")
        for measured in results[shape]:
            print(f"\n* {measured.step}")
            for sql, plan in measured.plans.items():
                print(f"  {_shortened(sql)}")
                for line in plan:
                    print(f"      {line}")


def _shortened(sql: str) -> str:
    head, _, tail = sql.partition(" FROM ")
    text = f"… FROM {tail}" if len(head) > 60 else sql
    return text if len(text) <= 300 else f"{text[:60]} … {text[-220:]}"


def _dump(vendor: str, results: dict[str, list[Measured]]) -> dict[str, Any]:
    return {
        "database": vendor,
        "ended": ENDED,
        "shapes": {
            shape: {
                each.step: {"queries": each.queries, "median_ms": round(each.median_ms, 3)} for each in steps
            }
            for shape, steps in results.items()
        },
    }


if __name__ == "__main__":
    main()

"""What a page of the history costs with 1,000 exports and with 1,000,000: ``python -m benchmarks.history``.

It fills a database with exports of one user, and a tenth as many of others, and reads full pages of 20 over
HTTP, in process and without a token's check: the first one, and one six tenths down. For each filter it
prints p50 and p95 of both at both sizes, and how far apart the four p50 and the four p95 are; then the plans.

The database is that of ``DATABASE_URL``, as with ``benchmarks.line``; ``--on postgresql`` runs a private one.
"""

import argparse
import base64
import contextlib
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from benchmarks.line import database, plan_of
from tests.databases.servers import SERVERS, Database

RESULT: Final = Path(__file__).parent.parent / "build"
SIZES: Final = (1_000, 1_000_000)
START: Final = datetime(2025, 1, 1, tzinfo=UTC)
BATCH: Final = 5_000
PAGE_SIZE: Final = 20
PROPS: Final = {"title": "T" * 200}

FILTERS: Final[Mapping[str, str]] = {
    "none": "",
    "status": "status=failed",
    "two statuses": "status=failed,cancelled",
    "a project": "projectId={project}",
    "a codec": "codec=gif",
    "a pair": "metadata[shop]=3",
    "a pair and a status": "metadata[shop]=3&status=failed",
    "a span": "createdAfter=2025-01-01&createdBefore=2035-01-01",
}

Times = list[float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200, help="requests for each figure (200)")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="how many exports, rising")
    parser.add_argument("--on", choices=["sqlite", "postgresql"], help="a database of the run's own")
    options = parser.parse_args()
    server = SERVERS[options.on]() if options.on else contextlib.nullcontext(Database(environment={}))
    with server as running:
        os.environ.update(running.environment)
        with database() as vendor:
            shelf = Shelf()
            figures = {}
            for size in options.sizes:
                shelf.fill(size)
                figures[size] = {
                    name: shelf.measure(query, options.repeats) for name, query in FILTERS.items()
                }
            plans = {name: list(shelf.plans(query)) for name, query in FILTERS.items()}
    print(f"{vendor}: p50 and p95 of the first page, and of one six tenths down, in ms\n")
    print(as_table(figures))
    print(f"\nPlans with {options.sizes[-1]:,}:")
    for name, lines in plans.items():
        print(f"\n* {name}", *lines, sep="\n    ")
    RESULT.mkdir(exist_ok=True)
    kept = {
        size: {name: dict(zip(PAGES, times, strict=True)) for name, times in by.items()}
        for size, by in figures.items()
    }
    Path(RESULT, f"bench-history-{vendor}.json").write_text(json.dumps(kept) + "\n")


PAGES: Final = ("first", "deep")


class Shelf:
    """A table of exports, filled in steps."""

    def __init__(self) -> None:
        from django.contrib.auth.models import User
        from rest_framework.test import APIClient

        from exports.models import Project

        self._chance = random.Random(1)
        self._size = 0
        self.user, *others = User.objects.bulk_create(User(username=f"u{n}") for n in range(11))
        self._projects = {
            user.pk: Project.objects.bulk_create(
                Project(user=user, title="T", composition_id="M") for _ in range(4)
            )
            for user in (self.user, *others)
        }
        self._others = others
        self._client = APIClient(SERVER_NAME="localhost")
        self._client.force_authenticate(self.user)

    def fill(self, size: int) -> None:
        """Add exports until the user has ``size``, and the others a tenth as many."""
        from django.db import connection

        from exports.models import ExportRequest
        from exports.services.requests import index_metadata

        began = time.monotonic()
        rows: list[ExportRequest] = []
        for number in range(self._size, size):
            rows.append(self._row(number, self.user.pk))
            if number % 10 == 0:
                rows.append(self._row(number, self._chance.choice(self._others).pk))
            if len(rows) >= BATCH or number == size - 1:
                index_metadata(rows)
                ExportRequest.objects.bulk_create(rows)
                rows = []
        self._size = size
        if connection.vendor == "postgresql":
            # As autovacuum does; nobody does it for SQLite.
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")
        print(f"{size:,} exports after {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    def _row(self, number: int, user_id: Any) -> Any:
        from exports.models import ExportRequest, timeline_entry
        from renderhub.ids import uuid7

        at = START + timedelta(minutes=number)
        status = self._chance.choices(["completed", "failed", "cancelled"], [6, 3, 1])[0]
        return ExportRequest(
            id=uuid7(at),
            project=self._chance.choice(self._projects[user_id]),
            user_id=user_id,
            title=f"Export {number}",
            composition_id="M",
            serve_url="https://example.com/sites/main/index.html",
            codec=self._chance.choices(["h264", "gif"], [7, 3])[0],
            input_props=PROPS,
            metadata={"shop": str(self._chance.randrange(4))},
            status=status,
            timeline=[timeline_entry(event="created", status="pending", attempt=1, now=at)],
            created_at=at,
            queued_at=at,
            updated_at=at,
            completed_at=at,
        )

    def measure(self, query: str, repeats: int) -> tuple[Times, Times]:
        """Return the milliseconds of each read of the first page, and of the one deep inside."""
        pages = [self._path(query), self._path(query, self._deep_key())]
        times: tuple[Times, Times] = ([], [])
        for page in pages:
            answer = self._client.get(page)
            if answer.status_code != HTTPStatus.OK or len(answer.json()["results"]) < PAGE_SIZE:
                raise SystemExit(f"{page} answers {answer.status_code}: {answer.content!r}")
        # In turn, so that what else the machine does strikes both alike.
        for _ in range(repeats):
            for page, kept in zip(pages, times, strict=True):
                began = time.perf_counter()
                self._client.get(page).content  # noqa: B018
                kept.append((time.perf_counter() - began) * 1000)
        return times

    def plans(self, query: str) -> Iterator[str]:
        """Yield each query of a page deep inside, with its plan."""
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as captured:
            self._client.get(self._path(query, self._deep_key()))
        for each in captured.captured_queries:
            yield f"… FROM {each['sql'].partition(' FROM ')[2][:200]}"
            yield from (f"    {line}" for line in plan_of(each["sql"]))

    def _path(self, query: str, key: UUID | None = None) -> str:
        query = query.format(project=self._projects[self.user.pk][3].pk)
        if key is not None:
            query += "&cursor=" + base64.urlsafe_b64encode(b"o" + key.bytes).decode().rstrip("=")
        return f"/api/exports/history?{query}"

    def _deep_key(self) -> UUID:
        from renderhub.ids import uuid7

        return uuid7(START + timedelta(minutes=self._size * 4 // 10))


def as_table(figures: Mapping[int, Mapping[str, tuple[Times, Times]]]) -> str:
    """Return the figures as a Markdown table."""
    sizes = list(figures)
    heads = [f"{page}, {size:,}" for size in sizes for page in PAGES]
    lines = [
        f"| filter | {' | '.join(heads)} | p50 apart | p95 apart |",
        "|---" + "|--:" * (len(heads) + 2) + "|",
    ]
    for name in FILTERS:
        all_times = [times for size in sizes for times in figures[size][name]]
        p50 = [statistics.median(times) for times in all_times]
        p95 = [statistics.quantiles(times, n=20)[-1] for times in all_times]
        cells = [f"{one:.1f}, {other:.1f}" for one, other in zip(p50, p95, strict=True)]
        apart = [f"{max(each) / min(each):.2f}" for each in (p50, p95)]
        lines.append(f"| {' | '.join((name, *cells, *apart))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

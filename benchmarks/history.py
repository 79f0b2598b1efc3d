"""What a page of the history costs with 1,000 exports and with 1,000,000: ``python -m benchmarks.history``.

It fills a database for each size with exports of one user, and a tenth as many of others, and reads full
pages of 20 over HTTP, in process and without a token's check: the first one, and one six tenths down, in
turn. For each filter it prints p50 and p95 of the four, and how far apart the four p50 and the four p95 are;
then the plans at the last size.

The databases are made beside that of ``DATABASE_URL``; ``--on postgresql`` and ``--on mongodb`` run a private
server. What MongoDB's stand-in says of a plan is nothing of MongoDB's, so there are none of it.
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
from collections.abc import Iterator, Mapping, Sequence
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
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="how many exports")
    parser.add_argument("--on", choices=list(SERVERS), help="a server of the run's own")
    options = parser.parse_args()
    server = SERVERS[options.on]() if options.on else contextlib.nullcontext(Database(environment={}))
    with server as running, contextlib.ExitStack() as open_databases:
        # As it is for a client that asks now and then.
        os.environ.update({"LIMIT_READS": "100000000/m", **running.environment})
        vendor = open_databases.enter_context(database())
        shelves = [Shelf(size, open_databases) for size in options.sizes]
        figures = {name: measure(shelves, query, options.repeats) for name, query in FILTERS.items()}
        explained = FILTERS if vendor != "mongodb" else {}
        plans = {name: list(shelves[-1].plans(query)) for name, query in explained.items()}
    print(f"{vendor}: p50 and p95 of the first page, and of one six tenths down, in ms\n")
    print(as_table(figures))
    print(f"\nPlans with {options.sizes[-1]:,}:" if plans else "")
    for name, lines in plans.items():
        print(f"\n* {name}", *lines, sep="\n    ")
    RESULT.mkdir(exist_ok=True)
    Path(RESULT, f"bench-history-{vendor}.json").write_text(json.dumps(figures) + "\n")


def measure(shelves: Sequence["Shelf"], query: str, repeats: int) -> dict[str, Times]:
    """Return the milliseconds of each read of the first page, and of the one deep inside, of each shelf."""
    pages = [(shelf, key) for shelf in shelves for key in (None, shelf.deep_key())]
    times: list[Times] = [[] for _ in pages]
    # In turn, so that what else the machine does strikes all of them alike; the first time is to warm up.
    for _ in range(repeats + 1):
        for (shelf, key), kept in zip(pages, times, strict=True):
            kept.append(shelf.read(query, key))
    return {
        f"{'first' if key is None else 'deep'}, {shelf.size:,}": kept[1:]
        for (shelf, key), kept in zip(pages, times, strict=True)
    }


class Shelf:
    """A database of its own with the exports of a user, and a tenth as many of others.

    Args:
        size: how many the user has.
        open_databases: drops it at the end.
    """

    def __init__(self, size: int, open_databases: contextlib.ExitStack) -> None:
        from django.contrib.auth.models import User
        from django.db import connections
        from rest_framework.test import APIClient

        from exports.models import Project

        self.size = size
        first = connections["default"]
        first_name = first.settings_dict["NAME"]
        name = f"{first_name}_{size}"
        settings = {**first.settings_dict, "TEST": {**first.settings_dict["TEST"], "NAME": name}}
        self._connection = type(first)(settings, "default")
        self._use()
        self._connection.creation.create_test_db(verbosity=0, autoclobber=True)
        first.settings_dict["NAME"] = first_name  # Django notes the new one's name on both.
        open_databases.callback(self._drop, name, first, first_name)
        self._chance = random.Random(1)
        self._user, *self._others = User.objects.bulk_create(User(username=f"u{n}") for n in range(11))
        self._projects = {
            user.pk: Project.objects.bulk_create(
                Project(user=user, title="T", composition_id="M") for _ in range(4)
            )
            for user in (self._user, *self._others)
        }
        self._client = APIClient(SERVER_NAME="localhost")
        self._client.force_authenticate(self._user)
        self._fill()

    def _use(self) -> None:
        from django.db import connections

        connections["default"] = self._connection

    def _drop(self, name: str, first: Any, first_name: str) -> None:
        from django.db import connections

        self._use()
        self._connection.creation.destroy_test_db(name, verbosity=0)
        connections["default"] = first
        first.settings_dict["NAME"] = first_name
        if first.vendor == "mongodb":
            # Both had one client, which is closed now.
            first.connection = None
            del first.database

    def _fill(self) -> None:
        from exports.models import ExportRequest
        from exports.services.requests import index_metadata

        began = time.monotonic()
        rows: list[ExportRequest] = []
        for number in range(self.size):
            rows.append(self._row(number, self._user.pk))
            if number % 10 == 0:
                rows.append(self._row(number, self._chance.choice(self._others).pk))
            if len(rows) >= BATCH or number == self.size - 1:
                index_metadata(rows)
                ExportRequest.objects.bulk_create(rows)
                rows = []
        if self._connection.vendor == "postgresql":
            # As autovacuum does; nobody does it for SQLite.
            with self._connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")
        print(f"{self.size:,} exports in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

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

    def read(self, query: str, key: UUID | None) -> float:
        """Read a page that begins beyond a key, or the first one, and return its milliseconds."""
        self._use()
        path = self._path(query, key)
        began = time.perf_counter()
        answer = self._client.get(path)
        took_ms = (time.perf_counter() - began) * 1000
        if answer.status_code != HTTPStatus.OK or len(answer.json()["results"]) < PAGE_SIZE:
            raise SystemExit(f"{path} answers {answer.status_code}: {answer.content!r}")
        return took_ms

    def plans(self, query: str) -> Iterator[str]:
        """Yield each query of a page deep inside, with its plan."""
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        self._use()
        with CaptureQueriesContext(connection) as captured:
            self._client.get(self._path(query, self.deep_key()))
        for each in captured.captured_queries:
            yield f"… FROM {each['sql'].partition(' FROM ')[2][:200]}"
            yield from (f"    {line}" for line in plan_of(each["sql"]))

    def _path(self, query: str, key: UUID | None = None) -> str:
        query = query.format(project=self._projects[self._user.pk][3].pk)
        if key is not None:
            query += "&cursor=" + base64.urlsafe_b64encode(b"o" + key.bytes).decode().rstrip("=")
        return f"/api/exports/history?{query}"

    def deep_key(self) -> UUID:
        """Return the key of where four tenths of the exports are left."""
        from renderhub.ids import uuid7

        return uuid7(START + timedelta(minutes=self.size * 4 // 10))


def as_table(figures: Mapping[str, Mapping[str, Times]]) -> str:
    """Return the figures as a Markdown table."""
    heads = list(next(iter(figures.values())))
    lines = [
        f"| filter | {' | '.join(heads)} | p50 apart | p95 apart |",
        "|---" + "|--:" * (len(heads) + 2) + "|",
    ]
    for name, by_page in figures.items():
        p50 = [statistics.median(times) for times in by_page.values()]
        p95 = [statistics.quantiles(times, n=20)[-1] for times in by_page.values()]
        cells = [f"{one:.1f}, {other:.1f}" for one, other in zip(p50, p95, strict=True)]
        apart = [f"{max(each) / min(each):.2f}" for each in (p50, p95)]
        lines.append(f"| {' | '.join((name, *cells, *apart))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

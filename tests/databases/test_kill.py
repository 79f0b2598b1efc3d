"""What is left when the API, or the database's server, is killed amid five hundred creations.

The API is the real one under its production server, with a real database of its own.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from localcloud import ports
from localcloud.paths import ROOT
from localcloud.processes import Process, stop
from tests.databases.servers import SERVERS, Database

CREATIONS = 500
CLIENTS = 12
LIMIT, USER_LIMIT = 8, 3

pytestmark = pytest.mark.slow


@dataclass
class Api:
    """The API's process, and the accounts that it knows."""

    database: Database
    folder: Path
    port: int = field(default_factory=lambda: ports.choose_port(0))
    accounts: list[list[str]] = field(default_factory=list)
    process: Process | None = None
    begun: int = 0

    @property
    def environment(self) -> dict[str, str]:
        shell = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        limits = dict.fromkeys(("LIMIT_READS", "LIMIT_WRITES", "LIMIT_EXPORTS"), "1000000/m")
        return {
            **shell,
            "DJANGO_SETTINGS_MODULE": "renderhub.settings",
            **self.database.environment,
            **limits,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            # There is no queue: what is accepted is recorded, and stays to be sent.
            "REMOTION_SQS_QUEUE_URL": "",
            "REMOTION_BUCKET": "b",
            "REMOTION_SERVE_URL": "https://x.example/index.html",
            "RENDER_MAX_CONCURRENCY": str(LIMIT),
            "RENDER_MAX_CONCURRENCY_PER_USER": str(USER_LIMIT),
            "MAX_PENDING_PER_USER": "1000000",
            "REDIS_URL": "",
        }

    def ask(self, what: str) -> Any:
        """Ask the database, past the API."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.databases.records", what],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            check=True,
        )
        return json.loads(done.stdout.splitlines()[-1])

    def start(self) -> None:
        self.begun += 1
        command = [
            *(sys.executable, "-m", "granian", "--interface", "wsgi", "--blocking-threads", "4"),
            *("--host", ports.HOST, "--port", str(self.port), "--no-ws", "renderhub.wsgi:application"),
        ]
        log = self.folder / f"api-{self.begun}.log"
        self.process = Process("api", command, environment=self.environment, log=log, ready="Started worker")
        self.process.start()
        self.process.wait_until_ready(60)
        assert ports.wait_until_listening(self.port, timeout_s=60)

    def kill(self) -> None:
        assert self.process is not None
        assert self.process.pid is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.join(5)

    def call(self, path: str, token: str, body: Any = None) -> tuple[int, Any]:
        """Return the status and the body of an answer; 0 where there was none."""
        request = urllib.request.Request(
            f"http://{ports.HOST}:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # http, to ourselves
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError:
            return 0, None


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    with SERVERS[request.param](durable=True) as found:
        yield found


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Iterator[Api]:
    found = Api(database, tmp_path)
    found.accounts = found.ask("migrate")
    found.start()
    yield found
    assert found.process is not None
    stop([found.process])


def create_all(api: Api, break_it: Callable[[], None]) -> dict[str, tuple[int, Any]]:
    """Ask for all exports, break something once half of them are accepted, and return all answers."""
    answers: dict[str, tuple[int, Any]] = {}
    accepted = threading.Semaphore(0)
    up = threading.Event()
    up.set()

    def create(number: int) -> None:
        # While it is down nobody asks; those who had asked find out.
        up.wait(120)
        token, project = api.accounts[number % len(api.accounts)]
        name = f"composition-{number}"
        body = {"compositionId": name, "inputProps": {"number": number}}
        answers[name] = api.call(f"/api/exports/projects/{project}/export", token, body)
        if answers[name][0] == 202:
            accepted.release()

    with ThreadPoolExecutor(CLIENTS) as pool:
        created = [pool.submit(create, number) for number in range(CREATIONS)]
        for _ in range(CREATIONS // 2):
            assert accepted.acquire(timeout=120)
        up.clear()
        try:
            break_it()
        finally:
            up.set()
    for each in created:
        each.result()
    return answers


def assert_nothing_is_lost(api: Api, answers: dict[str, tuple[int, Any]]) -> None:
    accepted = {name: body["exportId"] for name, (status, body) in answers.items() if status == 202}
    rows = {row["composition_id"]: row for row in api.ask("read")}
    recorded = {name: row["pk"] for name, row in rows.items()}
    unanswered = set(answers) - set(accepted)
    print(f"{len(accepted)} accepted, {len(unanswered)} not, {len(recorded)} recorded")
    # It was struck, and went on.
    assert 0 < len(unanswered) <= CLIENTS
    assert {name: recorded.get(name) for name in accepted} == accepted
    assert len(rows) == len(recorded)
    assert set(recorded) <= set(answers)
    for row in rows.values():
        assert_is_whole(row)
    assert_line_goes_on(api, rows)


def assert_is_whole(row: dict[str, Any]) -> None:
    number = int(row["composition_id"].removeprefix("composition-"))
    assert row["input_props"] == {"number": number}
    assert (row["status"], row["attempt"], row["codec"], row["title"]) == ("pending", 1, "h264", "T")
    assert [entry["type"] for entry in row["timeline"]] in (["created"], ["created", "admitted"])
    assert row["version"] == len(row["timeline"])
    assert len({row["slot"] is None, row["user_slot"] is None, row["due_at"] is None}) == 1
    assert row["slot"] is None or row["rank"] is None


def assert_line_goes_on(api: Api, rows: dict[str, Any]) -> None:
    assert_limits_hold(list(rows.values()))
    turned = api.ask("turn")
    assert_limits_hold(turned["swept"])
    holders = [row for row in turned["swept"] if row["slot"]]
    assert len(holders) == LIMIT
    # One sweep later each user's waiting exports have their first in the line.
    waiting = {row["user_id"] for row in turned["swept"] if row["status"] == "pending" and not row["slot"]}
    assert {row["user_id"] for row in turned["swept"] if row["rank"]} == waiting
    # Whoever holds a slot has been sent to the worker, and made place for the next.
    assert {row["pk"] for row in holders} <= set(turned["sent"])
    after = {row["pk"]: row for row in turned["after"]}
    assert all(after[row["pk"]]["status"] == "completed" for row in holders)
    assert_limits_hold(turned["after"])
    assert sum(row["slot"] is not None for row in turned["after"]) == LIMIT


def assert_limits_hold(rows: list[dict[str, Any]]) -> None:
    holders = [row for row in rows if row["slot"]]
    assert len({row["slot"] for row in holders}) == len(holders) <= LIMIT
    assert max(Counter(row["user_id"] for row in holders).values(), default=0) <= USER_LIMIT


@pytest.mark.parametrize("database", list(SERVERS), indirect=True)
def test_nothing_accepted_is_lost_where_the_api_is_killed(api: Api):
    def break_it() -> None:
        api.kill()
        api.start()

    answers = create_all(api, break_it)

    assert {status for status, _ in answers.values()} == {0, 202}
    assert_nothing_is_lost(api, answers)


@pytest.mark.parametrize("database", ["postgresql", "mongodb"], indirect=True)
def test_nothing_accepted_is_lost_where_the_database_is_killed(api: Api):
    kill, start = api.database.kill, api.database.start
    if kill is None or start is None:
        pytest.skip("TEST_MONGODB_URL names a server that is not this run's to kill")
    token, project = api.accounts[0]

    def break_it() -> None:
        kill()
        assert api.call("/readyz", token)[1]["part"] == "database"
        assert api.call("/healthz", token)[0] == 200
        status, problem = api.call(f"/api/exports/projects/{project}/export", token, {})
        assert (status, problem["type"]) == (503, "urn:renderhub:problem:database-unavailable")
        start()
        assert api.call("/readyz", token)[0] == 200

    answers = create_all(api, break_it)

    # It is the API that says so, and it goes on by itself.
    assert {status for status, _ in answers.values()} == {202, 503}
    assert_nothing_is_lost(api, answers)

import itertools
import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections

from exports import services
from exports.models import ExportRequest, Pause, Priority, Project
from exports.services.line import look
from exports.states import ENDED, Status
from lambda_worker.contract import RenderError, RenderFailure, RenderStarted, RenderSuccess
from renderhub.ids import uuid7
from tests.conftest import NOW, FakeQueue

HIGH, NORMAL, LOW = Priority


class Hub:
    """The services with a clock of their own, and a worker that takes each start at once."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.queue = FakeQueue()
        self.now = NOW
        self.projects: dict[str, Project] = {}

    def limits(self, slots: int, share: int | None = None) -> None:
        self.settings.RENDER_MAX_CONCURRENCY = slots
        self.settings.RENDER_MAX_CONCURRENCY_PER_USER = share or slots

    def project(self, name: str) -> Project:
        if name not in self.projects:
            user = User.objects.create_user(name)
            self.projects[name] = Project.objects.create(user=user, title=name, composition_id="M")
        return self.projects[name]

    def tick(self, seconds: float = 0.001) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now

    def create(self, name: str, priority: int = NORMAL) -> ExportRequest:
        return services.create_export(
            project=self.project(name),
            composition_id="M",
            serve_url="https://x/sites/main/index.html",
            codec="h264",
            input_props={},
            priority=priority,
            queue=self.queue,
            now=self.tick(),
        )

    def crowd(self, name: str, count: int, status: str = Status.PENDING) -> list[ExportRequest]:
        """Record many exports of one user at once, and let them wait unless they have ended."""
        project = self.project(name)
        rows = [
            ExportRequest(
                id=uuid7(),
                project=project,
                user_id=project.user_id,
                title=name,
                composition_id="M",
                serve_url="https://x/sites/main/index.html",
                codec="h264",
                status=status,
                created_at=self.tick(),
                queued_at=self.now,
                updated_at=self.now,
            )
            for _ in range(count)
        ]
        ExportRequest.objects.bulk_create(rows)
        look(project.user_id, now=self.now)
        return rows

    def complete(self, export_id: Any) -> None:
        """Do all that the worker and Remotion do for an export that has a slot."""
        row = ExportRequest.objects.get(pk=export_id)
        base: dict[str, Any] = {"export_id": str(row.pk), "attempt": row.attempt}
        if row.status == Status.PENDING:
            claim = RenderStarted(**base, token="t", version=row.version)
            assert services.claim_render(report=claim, now=self.tick()) == "render"
        report = RenderSuccess(
            **base, render_id=f"r-{row.pk}-{row.attempt}", bucket_name="b", output_size_bytes=7
        )
        assert services.complete_export(report=report, queue=self.queue, now=self.tick())

    def admitted(self) -> list[ExportRequest]:
        """Return the exports in the order in which they got their slots."""
        rows = ExportRequest.objects.in_bulk([message.export_id for message in self.queue.messages])
        by_id = {str(pk): row for pk, row in rows.items()}
        return [by_id[message.export_id] for message in self.queue.messages]

    def turn(self, count: int) -> list[ExportRequest]:
        """Complete the export that has its slot the longest, ``count`` times; return who came next."""
        before = len(self.queue.messages)
        for _ in range(count):
            holders = set(ExportRequest.objects.holders().values_list("pk", flat=True))
            oldest = next(row for row in self.admitted() if row.pk in holders)
            self.complete(oldest.pk)
        return self.admitted()[before:]


@pytest.fixture
def hub(settings, transactional_db, outputs):
    return Hub(settings)


def titles(rows: Iterable[ExportRequest]) -> list[str]:
    return [row.title for row in rows]


# --- Fairness -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [1, 2, 5])
@pytest.mark.parametrize("turned", [0, 3])
def test_a_newcomer_is_the_next_or_the_one_after_a_thousand_of_another(hub, slots, turned):
    hub.limits(slots)
    hub.crowd("many", 1000)
    services.admit(queue=hub.queue, now=hub.tick())
    hub.turn(turned)
    hub.create("newcomer")
    assert "newcomer" in titles(hub.turn(2))


@pytest.mark.slow
@pytest.mark.parametrize("slots", [1, 3])
def test_a_newcomer_is_the_next_or_the_one_after_a_retry_of_a_thousand(hub, slots):
    hub.limits(slots)
    failed = hub.crowd("many", 1000, Status.FAILED)
    user = hub.project("many").user
    for row in failed:
        services.retry_export(export_id=row.pk, by=user, queue=hub.queue, now=hub.tick())
    assert ExportRequest.objects.line().count() == 1
    hub.create("newcomer")
    assert "newcomer" in titles(hub.turn(2))


def test_a_retry_waits_behind_all_that_its_owner_has_waiting(hub):
    hub.limits(1)
    [old] = hub.crowd("ada", 1, Status.FAILED)
    hub.crowd("ada", 3)
    services.admit(queue=hub.queue, now=hub.tick())
    services.retry_export(export_id=old.pk, by=hub.project("ada").user, queue=hub.queue, now=hub.tick())
    assert [row.pk == old.pk for row in hub.turn(3)] == [False, False, True]


def test_those_who_wait_take_turns(hub):
    hub.limits(1)
    for name in ("ada", "bob", "cyd"):
        hub.crowd(name, 10)
    services.admit(queue=hub.queue, now=hub.tick())
    order = titles([*hub.admitted(), *hub.turn(8)])
    assert order == ["ada", "bob", "cyd"] * 3


def test_a_high_export_waits_for_one_of_its_users_others_at_most(hub):
    hub.limits(1)
    for name in ("ada", "bob"):
        hub.crowd(name, 20)
    services.admit(queue=hub.queue, now=hub.tick())
    hub.turn(3)
    high = hub.create("ada", HIGH)
    own = [row for row in hub.turn(4) if row.title == "ada"]
    assert high.pk in [row.pk for row in own[:2]]


def test_priorities_order_a_users_own_exports_and_change_nothing_between_users(hub):
    hub.limits(1)
    hub.create("bob")
    first = hub.create("ada", LOW)
    low, normal, high, later_normal = (hub.create("ada", each) for each in (LOW, NORMAL, HIGH, NORMAL))
    hub.create("bob", LOW)
    order = hub.turn(6)
    assert [row.pk for row in order if row.title == "ada"] == [
        each.pk for each in (first, high, normal, later_normal, low)
    ]
    assert titles(order)[:3] == ["ada", "bob", "ada"]


def test_a_users_share_leaves_the_other_slots_to_others(hub):
    hub.limits(3, 2)
    hub.crowd("many", 10)
    services.admit(queue=hub.queue, now=hub.tick())
    assert ExportRequest.objects.holders().count() == 2
    assert hub.create("newcomer").slot is not None
    hub.crowd("third", 2)
    # The crowd's first has waited longer, though its share was used up; after it, the third user is first.
    assert titles(hub.turn(1)) == ["many"]
    assert titles(hub.turn(2)) == ["third", "many"]


SCENARIOS = list(itertools.product([(1, 1), (2, 1), (3, 2), (6, 3)], range(3)))


@pytest.mark.parametrize(("limits", "seed"), SCENARIOS)
def test_nobody_waits_for_more_than_one_round(hub, limits, seed):
    """Bursts, late newcomers, slow and fast users: while one's first waits, each other has one turn."""
    hub.limits(*limits)
    chance = random.Random(seed)
    render_s = {"fast": 1, "slow": 40, "steady": 8, "late": 8, "rare": 3}
    arrivals: list[tuple[float, str, int]] = [
        *((0.0, "fast", NORMAL) for _ in range(12)),
        *((0.0, "slow", NORMAL) for _ in range(6)),
        *((float(second), "steady", NORMAL) for second in range(0, 80, 8)),
        *((60.0, "late", chance.choice(list(Priority))) for _ in range(6)),
        *((chance.uniform(0, 120), "rare", HIGH) for _ in range(4)),
    ]
    ends: list[tuple[float, Any]] = []
    turns_since: dict[str, Counter[str]] = {}
    rounds: list[int] = []
    seen = 0
    while arrivals or ends:
        arrival = min(arrivals, default=None)
        end = min(ends, key=lambda each: each[0], default=None)
        if end is None or (arrival is not None and arrival[0] <= end[0]):
            assert arrival is not None
            arrivals.remove(arrival)
            second, name, priority = arrival
            hub.now = max(hub.now, NOW + timedelta(seconds=second))
            hub.create(name, priority)
        else:
            ends.remove(end)
            second, export_id = end
            hub.now = max(hub.now, NOW + timedelta(seconds=second))
            hub.complete(export_id)
        fresh = hub.admitted()[seen:]
        seen += len(fresh)
        for row in fresh:
            ends.append((second + render_s[row.title] * chance.uniform(0.8, 1.2), row.pk))
            rounds.append(max(turns_since.pop(row.title, Counter()).values(), default=0))
            for turns in turns_since.values():
                turns[row.title] += 1
        # One who has had all of his share doesn't wait for others.
        full = {
            name
            for name, count in Counter(
                ExportRequest.objects.holders().values_list("title", flat=True)
            ).items()
            if count >= hub.settings.RENDER_MAX_CONCURRENCY_PER_USER
        }
        waiting = set(titles(ExportRequest.objects.line())) - full
        turns_since = {name: turns_since.get(name, Counter()) for name in waiting}
        assert ExportRequest.objects.holders().count() <= limits[0]
    assert max(rounds) <= 1
    assert len(rounds) == 38
    assert not ExportRequest.objects.exclude(status=Status.COMPLETED).exists()


# --- Slots --------------------------------------------------------------------------------------------------


def test_a_freed_slot_is_given_and_its_message_sent_in_the_same_call(hub):
    hub.limits(1)
    first, second = hub.create("ada"), hub.create("bob")
    hub.complete(first.pk)
    second.refresh_from_db()
    assert (second.slot, second.rank) == (1, None)
    assert second.queue_message_id is not None
    assert hub.queue.messages[-1].version == second.version
    assert services.claim_render(
        report=RenderStarted(export_id=str(second.pk), attempt=1, token="t", version=second.version),
        now=hub.tick(),
    )


def test_each_export_costs_one_start_message(hub):
    hub.limits(2)
    exports = [hub.create("ada") for _ in range(5)]
    hub.turn(5)
    assert sorted(message.export_id for message in hub.queue.messages) == sorted(
        str(export.pk) for export in exports
    )


def test_a_further_attempt_keeps_its_slot_and_lets_nobody_in(hub):
    hub.limits(1)
    first, second = hub.create("ada"), hub.create("bob")
    base: dict[str, Any] = {"export_id": str(first.pk), "attempt": 1}
    services.claim_render(report=RenderStarted(**base, token="t", version=1), now=hub.tick())
    error = RenderFailure(message="Target closed")
    services.fail_render(
        report=RenderError(**base, errors=(error,), render_id="r", bucket_name="b"),
        queue=hub.queue,
        now=hub.tick(),
    )
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, first.attempt, first.slot, second.slot) == ("pending", 2, 1, None)


def test_while_paused_nothing_gets_a_slot_and_what_has_one_goes_on(hub):
    hub.limits(2)
    running = hub.create("ada")
    services.pause_renders(by="ops", reason="incident", now=hub.tick())
    waiting = [hub.create("bob"), hub.create("ada")]
    hub.complete(running.pk)
    services.mend_line(queue=hub.queue, now=hub.tick(3600))
    running.refresh_from_db()
    assert running.status == Status.COMPLETED
    assert not ExportRequest.objects.holders().exists()
    assert services.resume_renders(by="ops", queue=hub.queue, now=hub.tick()) == 2
    assert {row.pk for row in ExportRequest.objects.holders()} == {row.pk for row in waiting}
    assert not Pause.objects.exists()


def test_a_lane_that_a_crash_left_without_a_first_is_mended(hub):
    hub.limits(1)
    hub.create("ada")
    for name in ("bob", "cyd"):
        hub.crowd(name, 3)
    ExportRequest.objects.filter(title="bob").update(rank=None)
    assert titles(ExportRequest.objects.line()) == ["cyd"]
    services.mend_line(queue=hub.queue, now=hub.tick())
    assert titles(ExportRequest.objects.line()) == ["cyd", "bob"]


@pytest.mark.parametrize("freed", list(itertools.permutations(range(4), 3)))
def test_limits_that_are_lowered_hold_from_the_next_slot_on(hub, freed):
    hub.limits(4)
    running = [hub.create("ada") for _ in range(4)]
    hub.crowd("ada", 3)
    hub.crowd("bob", 3)
    hub.limits(2)
    for left, index in zip((3, 2, 2), freed, strict=True):
        hub.complete(running[index].pk)
        assert ExportRequest.objects.holders().count() == left
    hub.turn(7)
    assert not ExportRequest.objects.exclude(status__in=ENDED).exists()


@pytest.mark.parametrize("freed", list(itertools.permutations(range(3), 2)))
def test_a_share_that_is_lowered_holds_from_the_next_slot_on(hub, freed):
    hub.limits(6, 3)
    running = [hub.create("ada") for _ in range(3)]
    hub.crowd("ada", 3)
    hub.limits(6, 2)
    for index in freed:
        hub.complete(running[index].pk)
        assert ExportRequest.objects.holders().count() == 2


def test_limits_that_are_raised_are_used_by_the_next_sweep(hub):
    hub.limits(1)
    hub.crowd("ada", 5)
    services.admit(queue=hub.queue, now=hub.tick())
    hub.limits(3)
    services.mend_line(queue=hub.queue, now=hub.tick())
    assert ExportRequest.objects.holders().count() == 3


# --- Threads ------------------------------------------------------------------------------------------------


@pytest.fixture
def in_threads(tmp_path: Path):
    """Runs calls in threads, each with a connection of its own to one database.

    SQLite's is a file, to which the rows of the test's own are copied: in memory, connections don't wait for
    each other.
    """
    path = tmp_path / "threads.sqlite3"

    def own_connection() -> None:
        if connection.vendor == "sqlite":
            wrapper = type(connections["default"])
            connections["default"] = wrapper({**settings_dict, "NAME": str(path)}, "default")

    def go(call: Callable[[], Any], errors: list[BaseException]) -> None:
        own_connection()
        try:
            call()
        except BaseException as error:
            errors.append(error)
        finally:
            connections["default"].close()

    def run(*calls: Callable[[], Any]) -> None:
        errors: list[BaseException] = []
        threads = [threading.Thread(target=go, args=(call, errors)) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    settings_dict = connections["default"].settings_dict
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(path)])
        # As migrate leaves it. To switch a file over, SQLite waits for nobody, so that the threads' first
        # connections would get into each other's way.
        with closing(sqlite3.connect(path)) as copy:
            copy.execute("PRAGMA journal_mode=WAL")
    return run


@pytest.fixture
def four_users(hub):
    for name in ("ada", "bob", "cyd", "dan"):
        hub.project(name)
    return hub


def test_threads_that_create_and_complete_never_exceed_the_limits(four_users, in_threads):
    hub = four_users
    hub.limits(4, 2)
    most, waited, ready = [0], [0], threading.Barrier(8)
    taken: set[str] = set()
    lock = threading.Lock()

    def next_start() -> str | None:
        with lock:
            left = [each.export_id for each in hub.queue.messages if each.export_id not in taken]
            taken.update(left[:1])
            return left[0] if left else None

    def held() -> None:
        holders = list(ExportRequest.objects.holders().values_list("user_id", flat=True))
        most[0] = max(most[0], len(holders))
        assert max(Counter(holders).values(), default=0) <= 2
        assert len(holders) <= 4

    def go(number: int) -> None:
        ready.wait()
        for turn in range(8):
            export = hub.create(list(hub.projects)[(number + turn) % 4])
            waited[0] += export.slot is None
            held()
            if start := next_start():
                hub.complete(start)
                held()

    def finish() -> None:
        # What is left, without any sweeper.
        while start := next_start():
            hub.complete(start)
        assert ExportRequest.objects.count() == 64
        assert not ExportRequest.objects.exclude(status=Status.COMPLETED).exists()

    in_threads(*(partial(go, number) for number in range(8)))
    in_threads(finish)
    assert most[0] == 4
    assert waited[0] > 0


@pytest.fixture
def waiting_start(hub):
    return hub.create("ada")


def test_of_many_threads_with_one_message_one_renders(waiting_start, in_threads):
    answers: list[str] = []
    ready = threading.Barrier(8)

    def claim(number: int) -> None:
        ready.wait()
        report = RenderStarted(export_id=str(waiting_start.pk), attempt=1, token=f"t{number}", version=1)
        answers.append(services.claim_render(report=report, now=NOW))

    in_threads(*(partial(claim, number) for number in range(8)))
    assert sorted(answers) == ["render", *["skip"] * 7]

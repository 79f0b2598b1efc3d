"""Each pair of events that can race, in every order of their single operations.

After each order, and at every point of it at which all racers might have died, the rest of the world goes on:
the worker takes what was sent, Remotion renders it, and the sweeper turns. Whatever has happened, everything
has to come to its one right end.
"""

import itertools
import logging
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from exports import services
from exports.idempotency import IdempotencyKey, KeyInUseError
from exports.models import Batch, ExportRequest, Pause, Project
from exports.services.line import admit
from exports.states import ENDED, Status
from lambda_worker.contract import (
    Action,
    RenderCosts,
    RenderError,
    RenderFailure,
    RenderProgress,
    RenderStarted,
    RenderSuccess,
    RenderThrottled,
    output_key,
)
from notifications.models import Delivery
from tests.conftest import NOW
from tests.exports.interleavings import (
    TABLES,
    Database,
    Explored,
    Explorer,
    Lockstep,
    Outside,
    State,
    World,
    determined,
)

# Not counted in the coverage, which would double the time; other tests reach almost all of the same lines.
pytestmark = [
    pytest.mark.no_cover,
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="states are copied from and to SQLite"),
]

BESIDE_THE_VERSION = {
    "progress",
    "due_at",
    "rank",
    "queue_message_id",
    "notify_pending",
    "updated_at",
    "render_cost_usd",
}
ROUND_S = 61


class Stage:
    """Two users with a project each, and what can happen to their exports."""

    def __init__(self, database: Database, outside: Outside, settings: Any) -> None:
        self.database = database
        self.outside = outside
        self.settings = settings
        self.now = NOW
        self.lowered = False
        self.projects = []
        for name in ("ada", "bob"):
            user = User.objects.create_user(name, email=f"{name}@example.com")
            self.projects.append(Project.objects.create(user=user, title=name, composition_id="M"))
        self.users = [project.user for project in self.projects]
        self._tokens = itertools.count()

    def limits(self, slots: int, share: int | None = None) -> None:
        self.lowered = slots < self.settings.RENDER_MAX_CONCURRENCY and ExportRequest.objects.exists()
        self.settings.RENDER_MAX_CONCURRENCY = slots
        self.settings.RENDER_MAX_CONCURRENCY_PER_USER = share or slots

    # What racers do. Each is given its moment, so that it does the same in each run.

    def create(self, who: int = 0, priority: int = 2, key: IdempotencyKey | None = None) -> ExportRequest:
        return services.create_export(
            project=self.projects[who],
            composition_id="M",
            serve_url="https://x/sites/main/index.html",
            codec="h264",
            input_props={},
            priority=priority,
            key=key,
            queue=self.outside,
            now=self.now,
        )

    def batch(self, rows: int = 2, who: int = 0, codec: str = "h264", seconds: float = 0) -> Batch:
        """Ask for a batch with a key, each time with the same."""
        order = {"composition_id": "M", "serve_url": "https://x/sites/main/index.html", "codec": codec}
        return services.create_batch(
            project=self.projects[who],
            order=services.BatchOrder(
                total=rows, orders={row: {**order, "input_props": {"n": row}} for row in range(1, rows + 1)}
            ),
            key=IdempotencyKey(stored=f"{self.users[who].pk}:k", request_hash="h"),
            queue=self.outside,
            now=self.now + timedelta(seconds=seconds),
        )

    def claim(self, export: ExportRequest, token: str, version: int | None = None) -> Action:
        return services.claim_render(
            report=RenderStarted(
                export_id=str(export.pk),
                attempt=export.attempt,
                token=token,
                version=version or export.version,
            ),
            now=self.now,
        )

    def work(self, export: ExportRequest, token: str) -> Action:
        """Do what the worker does with a start message: claim, start, report, stop what isn't wanted."""
        action = self.claim(export, token)
        if action is Action.RENDER:
            self.outside.do("started", export.pk.hex, export.attempt, token)
            action = self.accept(export, token)
            if action is Action.CANCEL:
                self.outside.do("stopped", f"r-{token}")
        return action

    def accept(self, export: ExportRequest, token: str) -> Action:
        return services.accept_render(
            report=RenderProgress(
                export_id=str(export.pk),
                attempt=export.attempt,
                render_id=f"r-{token}",
                bucket_name="b",
                token=token,
            ),
            now=self.now,
        )

    def put_off(self, export: ExportRequest, token: str) -> None:
        services.put_off_start(
            report=RenderThrottled(export_id=str(export.pk), attempt=export.attempt, token=token),
            now=self.now,
        )

    def progress(self, export: ExportRequest, token: str, value: float, usd: float | None = None) -> bool:
        return services.record_progress(
            report=RenderProgress(
                export_id=str(export.pk),
                attempt=export.attempt,
                render_id=f"r-{token}",
                bucket_name="b",
                progress=value,
                costs=None if usd is None else RenderCosts(amount_usd=usd),
            ),
            now=self.now,
        )

    def complete(self, export: ExportRequest, token: str) -> bool:
        return services.complete_export(
            report=RenderSuccess(
                export_id=str(export.pk),
                attempt=export.attempt,
                render_id=f"r-{token}",
                bucket_name="b",
                output_size_bytes=7,
            ),
            queue=self.outside,
            now=self.now,
        )

    def fail(self, export: ExportRequest, token: str, message: str = "The chart has no data") -> bool:
        return services.fail_render(
            report=RenderError(
                export_id=str(export.pk),
                attempt=export.attempt,
                errors=(RenderFailure(message=message),),
                render_id=f"r-{token}",
                bucket_name="b",
            ),
            queue=self.outside,
            now=self.now,
        )

    def cancel(self, export: ExportRequest) -> str:
        return services.cancel_export(
            export_id=export.pk, by=self.users[0], queue=self.outside, now=self.now
        )[1]

    def retry(self, export: ExportRequest) -> ExportRequest:
        return services.retry_export(export_id=export.pk, by=self.users[0], queue=self.outside, now=self.now)

    def admit(self) -> int:
        return admit(queue=self.outside, now=self.now)

    def pause(self) -> None:
        services.pause_renders(by="ops", reason="", now=self.now)

    def resume(self) -> None:
        services.resume_renders(by="ops", queue=self.outside, now=self.now)

    def sweep(self, seconds: float = 0) -> None:
        now = self.now + timedelta(seconds=seconds)
        services.handle_due(queue=self.outside, now=now)
        services.release_batches(now=now)
        services.mend_line(queue=self.outside, now=now)
        services.notify_left_over(now=now)

    def give_up(self, days: float) -> None:
        services.delete_uncommitted_batches(now=self.now + timedelta(days=days))

    def due(self, seconds: float) -> int:
        return services.handle_due(queue=self.outside, now=self.now + timedelta(seconds=seconds))

    # How a race begins.

    def running(self, who: int = 0, token: str = "t0") -> ExportRequest:
        """Return an export whose render has been started and is known."""
        export = self.create(who)
        assert self.work(export, token) is Action.KEEP
        export.refresh_from_db()
        return export

    def claimed(self, who: int = 0, token: str = "t0") -> ExportRequest:
        """Return an export that a worker has taken and whose render it has started."""
        export = self.create(who)
        assert self.claim(export, token) is Action.RENDER
        self.outside.do("started", export.pk.hex, 1, token)
        export.refresh_from_db()
        return export

    def race(
        self,
        *racers: Callable[[], Any],
        whole: bool = True,
        check: Callable[[list[Any]], None] = lambda results: None,
    ) -> Explored:
        """Explore the race, hold every rule against every point of it, and return what was found.

        Args:
            racers: what happens at the same time.
            whole: whether nothing is paused, so that free slots have to be used.
            check: looks at what the racers returned, in the order of the racers.
        """
        explorer = Explorer(self.database, self.outside, racers)
        explored = explorer.explore()
        for world, state in explored.worlds.items():
            self._blame(state, partial(self._check_world, world))
        for (before, after), state in explored.changes.items():
            self._blame(state, partial(self._check_change, before, after))
        for end in explored.ends:
            self._blame(end, partial(check, [stand.result for stand in end.stands]))
            if whole:
                self._blame(end, partial(self._check_used, end.world))
        # Not only from the ends: all racers may die at any point.
        for world, state in explored.worlds.items():
            explorer.restore(world)
            self._blame(state, self._settle)
        print(
            f"{explored.schedules} schedules, {explored.states} states, {len(explored.worlds)} worlds, "
            f"{len({end.world for end in explored.ends})} ends"
        )
        return explored

    def _blame(self, state: State, check: Callable[[], None]) -> None:
        try:
            check()
        except AssertionError as error:
            error.add_note("after this schedule:\n" + state.told())
            raise

    # The rules.

    def rows(self, world: World, table: str = "export_requests") -> dict[str, dict[str, Any]]:
        content = world.rows[TABLES.index(table)]
        return {row[0]: dict(zip(self.database.columns[table], row, strict=True)) for row in content}

    def _check_world(self, world: World) -> None:
        rows = self.rows(world).values()
        if not self.lowered:
            self._check_limits(world)
        for row in rows:
            assert (row["slot"] is None) == (row["user_slot"] is None)
            if row["slot"] is not None:
                assert row["status"] not in ENDED, "an ended export holds a slot"
                assert row["due_at"] is not None, "a slot is held and nothing is due"
                assert row["rank"] is None
            if row["status"] in ENDED:
                assert row["rank"] is None
                assert row["due_at"] is None
            if row["status"] == Status.PROCESSING:
                assert row["slot"] is not None
        started: dict[tuple[str, int], set[str]] = defaultdict(set)
        for name, *arguments in world.done:
            if name == "started":
                export, attempt, token = arguments
                started[export, attempt].add(token)
        assert all(len(tokens) == 1 for tokens in started.values()), "an attempt is rendered twice"
        self._check_batches(world)

    def _check_batches(self, world: World) -> None:
        """A batch that isn't committed has nothing that could render; a committed one has all of its rows."""
        batches = self.rows(world, "batches")
        of: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self.rows(world).values():
            if row["batch_id"] is not None:
                of[row["batch_id"]].append(row)
            if row["status"] == Status.STAGED:
                assert (row["slot"], row["rank"], row["due_at"], row["version"]) == (None, None, None, 1)
        for key, batch in batches.items():
            committed = batch["stage"] in (Batch.Stage.COMMITTED, Batch.Stage.RELEASED)
            assert (batch["committed_at"] is not None) == committed
            statuses = {row["status"] for row in of[key]}
            if committed:
                numbers = sorted(row["row"] for row in of[key])
                assert numbers == list(range(1, batch["accepted"] + 1)), "a committed batch lacks rows"
            else:
                assert statuses <= {Status.STAGED}, "a row of a batch that isn't committed may render"
            if batch["stage"] == Batch.Stage.RELEASED:
                assert Status.STAGED not in statuses, "a released batch keeps rows back"
        assert of.keys() <= batches.keys(), "rows are left without their batch"

    def _check_limits(self, world: World) -> None:
        holders = [row for row in self.rows(world).values() if row["slot"] is not None]
        assert len(holders) <= self.settings.RENDER_MAX_CONCURRENCY, "more than the limit hold a slot"
        shares = Counter(row["user_id"] for row in holders)
        assert all(n <= self.settings.RENDER_MAX_CONCURRENCY_PER_USER for n in shares.values()), "a share"

    def _check_change(self, before: World, after: World) -> None:
        olds, news = self.rows(before), self.rows(after)
        gone = olds.keys() - news.keys()
        assert all(olds[key]["status"] == Status.STAGED for key in gone)
        olds = {key: old for key, old in olds.items() if key in news and old["status"] != Status.STAGED}
        if any(
            row["slot"] is not None and olds.get(key, {}).get("slot") is None for key, row in news.items()
        ):
            # Where the limits were lowered, those who have their slots keep them, and nobody is let in.
            self._check_limits(after)
        changed = [key for key, old in olds.items() if old != news[key]]
        assert len(changed) <= 1, "an operation changed two exports"
        for key in changed:
            old, new = olds[key], news[key]
            names = {name for name in old if old[name] != new[name]}
            if names <= BESIDE_THE_VERSION:
                continue
            assert new["version"] == old["version"] + 1, f"{names} changed beside the version"
            if old["status"] in ENDED:
                assert new["status"] == Status.PENDING
                assert not old["notify_pending"], "it moved on, and its end is not told"
            if new["status"] == Status.PENDING and old["status"] != Status.PENDING:
                assert new["attempt"] == old["attempt"] + 1
            if new["progress"] < old["progress"]:
                assert new["attempt"] > old["attempt"], "progress fell"

    def _check_used(self, world: World) -> None:
        """Nobody waits where a slot is free, though no sweeper has turned yet."""
        rows = self.rows(world).values()
        holders = Counter(row["user_id"] for row in rows if row["slot"] is not None)
        if sum(holders.values()) >= self.settings.RENDER_MAX_CONCURRENCY:
            return
        left = [
            row["id"]
            for row in rows
            if row["status"] == Status.PENDING
            and row["slot"] is None
            and holders[row["user_id"]] < self.settings.RENDER_MAX_CONCURRENCY_PER_USER
        ]
        assert not left, "a slot is free, and somebody waits"

    # The rest of the world.

    def _settle(self) -> None:
        began = self.now
        try:
            self._go_on()
        finally:
            self.now = began
        told = Counter(Delivery.objects.values_list("key", flat=True))
        for export in ExportRequest.objects.all():
            assert (export.slot, export.rank, export.notify_pending) == (None, None, False)
            for entry in export.timeline:
                if entry["status"] in ENDED:
                    key = f"export:{export.pk}:{entry['attempt']}"
                    assert told.pop(key, 0) == 1, "an end is not told once"
            assert export.version == len(export.timeline)
        assert not told, "told of what never was"

    def _go_on(self) -> None:
        taken: Counter[Any] = Counter()
        for _ in range(40):
            self.now += timedelta(seconds=ROUND_S)
            for message, count in Counter(each for each in self.outside.done if each[0] == "message").items():
                # A message that went out twice is taken twice.
                for n in range(taken[message], count):
                    self._take(n, *message[1:])
                taken[message] = count
            if Pause.objects.exists():
                self.resume()
            self.sweep()
            self._check_world(World(self.database.read(), tuple(self.outside.done)))
            if not ExportRequest.objects.exclude(status__in=[*ENDED, Status.STAGED]).exists():
                break
        else:
            left = ExportRequest.objects.exclude(status__in=[*ENDED, Status.STAGED])
            raise AssertionError(f"stranded: {list(left.values())}")
        self._end_batches()

    def _end_batches(self) -> None:
        """Let whoever asked for a batch that wasn't committed be gone for good, and the day pass."""
        for days in (1.1, 1.2):
            self.give_up(days)
        assert not ExportRequest.objects.filter(status=Status.STAGED).exists()
        assert not Batch.objects.exclude(stage=Batch.Stage.RELEASED).exists()

    def _take(
        self, number: int, action: str, export_id: str, attempt: int, version: int, render_id: str | None
    ) -> None:
        export = ExportRequest.objects.get(pk=export_id)
        export.attempt, export.version = attempt, version
        if action == "start":
            self.work(export, f"w{export_id[-3:]}-{version}-{number}")
        elif ("stopped", render_id) not in self.outside.done:
            key = output_key(export_id=export_id, attempt=attempt, codec=export.codec)
            self.outside.do("file", key)
            self.complete(export, str(render_id).removeprefix("r-"))


@pytest.fixture
def stage(monkeypatch, settings, transactional_db):
    outside, database = Outside(), Database()
    logging.disable(logging.CRITICAL)
    with determined(monkeypatch, outside):
        yield Stage(database, outside, settings)
    logging.disable(logging.NOTSET)
    database.close()


def three(stage):
    """Return three racers of the longer kind."""
    stage.limits(1)
    export = stage.running()
    return partial(stage.complete, export, "t0"), partial(stage.create, 1), partial(stage.cancel, export)


def test_threads_held_before_each_operation_come_to_the_same_end(stage):
    racers = three(stage)
    explorer = Explorer(stage.database, stage.outside, racers)
    start = explorer.start()
    chance = random.Random(1)
    for _ in range(20):
        state, order = start, []
        while able := list(explorer.able(state)):
            racer = chance.choice(able)
            if state.exclusive is None:
                order.append(racer)
            state = explorer.step(state, racer)
        explorer.restore(start.world)
        results = Lockstep(stage.outside, racers).play(order)
        assert explorer.world() is state.world
        assert [repr(result) for result in results] == [repr(stand.result) for stand in state.stands]


def test_a_move_that_tests_no_version_is_found_out(stage, monkeypatch):
    def careless(seen, target, event, *, now, detail="", **changes):
        return ExportRequest.objects.filter(pk=seen.pk).update(
            status=target, version=seen.version + 1, **changes
        )

    monkeypatch.setattr("exports.services.reports.move", careless)
    export = stage.create()
    with pytest.raises(AssertionError, match="an attempt is rendered twice") as found:
        stage.race(partial(stage.work, export, "t1"), partial(stage.work, export, "t2"))
    assert "after this schedule" in found.value.__notes__[0]


def test_a_creation_that_does_not_look_again_is_found_out(stage, monkeypatch):
    monkeypatch.setattr("exports.services.requests.admit", lambda *, queue, now: 0)
    stage.limits(1)
    export = stage.running()
    with pytest.raises(AssertionError, match="a slot is free, and somebody waits"):
        stage.race(partial(stage.complete, export, "t0"), partial(stage.create, 1))


def test_two_workers_with_one_message(stage):
    export = stage.create()

    def one(results):
        assert sorted(results) == [Action.KEEP, Action.SKIP]

    stage.race(partial(stage.work, export, "t1"), partial(stage.work, export, "t2"), check=one)


def test_one_worker_that_asks_twice(stage):
    export = stage.create()

    def same(results):
        assert results == [Action.RENDER, Action.RENDER]

    stage.race(partial(stage.claim, export, "t1"), partial(stage.claim, export, "t1"), check=same)


def test_three_workers_with_one_message(stage):
    export = stage.create()

    def one(results):
        assert sorted(results) == [Action.KEEP, Action.SKIP, Action.SKIP]

    stage.race(*(partial(stage.work, export, f"t{n}") for n in range(3)), check=one)


def test_claim_and_cancel(stage):
    export = stage.create()

    def stopped(results):
        action, stopping = results
        if stopping == services.Stopping.NOT_STARTED:
            assert action is Action.SKIP
        else:
            assert action in (Action.KEEP, Action.CANCEL)

    found = stage.race(partial(stage.work, export, "t1"), partial(stage.cancel, export), check=stopped)
    for end in found.ends:
        [row] = stage.rows(end.world).values()
        assert row["status"] == Status.CANCELLED
        # A render that was started is stopped, whoever came first.
        names = [name for name, *_ in end.world.done]
        assert names.count("stopped") == names.count("started")


def test_a_success_before_the_report_of_its_render(stage):
    export = stage.claimed()

    def kept(results):
        assert results == [Action.KEEP, True]

    found = stage.race(partial(stage.accept, export, "t0"), partial(stage.complete, export, "t0"), check=kept)
    assert {row["status"] for end in found.ends for row in stage.rows(end.world).values()} == {"completed"}


def test_an_error_before_the_report_of_its_render(stage):
    export = stage.claimed()
    stage.race(
        partial(stage.accept, export, "t0"),
        partial(stage.fail, export, "t0", "Target closed"),
        partial(stage.fail, export, "t0", "Target closed"),
    )


def test_a_start_put_off_and_late_claims(stage):
    export = stage.create()
    assert stage.claim(export, "t0") is Action.RENDER

    def sent_again():
        stage.due(70)

    def late(results):
        # The worker's own question may come again; the message as it was first sent is stale.
        assert results[1] in (Action.RENDER, Action.SKIP)
        assert results[2] is Action.SKIP

    stage.race(
        lambda: (stage.put_off(export, "t0"), sent_again()),
        partial(stage.claim, export, "t0"),
        partial(stage.work, export, "t2"),
        check=late,
    )


def test_two_claims_of_a_start_that_was_put_off(stage):
    export = stage.create()
    stage.claim(export, "t0")
    stage.put_off(export, "t0")
    export.refresh_from_db()

    def one(results):
        assert sorted(results) == [Action.KEEP, Action.SKIP]

    stage.race(partial(stage.work, export, "t1"), partial(stage.work, export, "t2"), check=one)


def test_create_and_free(stage):
    stage.limits(1)
    export = stage.running()
    found = stage.race(partial(stage.complete, export, "t0"), partial(stage.create, 1))
    for end in found.ends:
        rows = stage.rows(end.world)
        assert rows.pop(export.pk.hex)["slot"] is None
        assert [row["slot"] for row in rows.values()] == [1]


@pytest.mark.slow
def test_create_create_and_free(stage):
    stage.limits(1)
    export = stage.running()
    stage.race(partial(stage.complete, export, "t0"), partial(stage.create, 1), partial(stage.create, 0))


@pytest.mark.parametrize(("slots", "share"), [(1, 1), (2, 2), (2, 1)])
@pytest.mark.parametrize("who", [(0, 1), (0, 0)])
def test_create_and_create(stage, slots, share, who):
    stage.limits(slots, share)
    found = stage.race(*(partial(stage.create, each) for each in who))
    room = min(slots, share) if who == (0, 0) else slots
    for end in found.ends:
        assert sum(row["slot"] is not None for row in stage.rows(end.world).values()) == room


def waiting(stage, *whose):
    """Return exports that wait though slots are free, as after a crash."""
    stage.pause()
    exports = [stage.create(who) for who in whose]
    Pause.objects.all().delete()
    return exports


@pytest.mark.parametrize(("slots", "share"), [(1, 1), (2, 2), (2, 1)])
@pytest.mark.parametrize("whose", [(0, 1), (0, 0)])
def test_admit_and_admit(stage, slots, share, whose):
    stage.limits(slots, share)
    waiting(stage, *whose)
    stage.race(stage.admit, stage.admit)


def test_admit_and_create_by_one_who_waits(stage):
    stage.limits(2)
    waiting(stage, 0)
    stage.race(stage.admit, partial(stage.create, 0, 1))


@pytest.mark.parametrize("event", ["late_error", "late_success"])
def test_a_retry_and_a_late_report_of_the_older_attempt(stage, event):
    export = stage.running()
    assert stage.due(901) == 1
    export.refresh_from_db()
    assert export.status == Status.FAILED
    late = stage.fail if event == "late_error" else stage.complete

    def nothing(results):
        assert results[1] is False

    stage.race(partial(stage.retry, export), partial(late, export, "t0"), check=nothing)


def test_an_automatic_attempt_and_late_reports_of_the_one_before(stage):
    export = stage.running()

    def one(results):
        assert results[:2].count(True) == 1

    found = stage.race(
        partial(stage.fail, export, "t0", "Target closed"),
        partial(stage.fail, export, "t0", "Target closed"),
        partial(stage.progress, export, "t0", 0.5),
        check=one,
    )
    for end in found.ends:
        [row] = stage.rows(end.world).values()
        assert (row["status"], row["attempt"], row["progress"]) == ("pending", 2, 0.0)


def test_retry_and_retry(stage):
    export = stage.running()
    stage.fail(export, "t0")
    found = stage.race(partial(stage.retry, export), partial(stage.retry, export))
    for end in found.ends:
        results = [stand.result for stand in end.stands]
        assert sum(isinstance(result, services.WrongStatusError) for result in results) == 1


def test_an_end_and_a_retry_that_is_cancelled(stage):
    """Each end is told though the export moves on at once, and though those who tell it die."""
    export = stage.running()
    stage.race(partial(stage.fail, export, "t0"), lambda: (stage.retry(export), stage.cancel(export)))


def test_cancel_and_complete(stage):
    stage.limits(1)
    export = stage.running()
    waiting = stage.create(1)

    def one(results):
        cancelled = not isinstance(results[0], Exception)
        assert results[1] is not cancelled

    found = stage.race(partial(stage.cancel, export), partial(stage.complete, export, "t0"), check=one)
    for end in found.ends:
        rows = stage.rows(end.world)
        assert (rows[export.pk.hex]["slot"], rows[waiting.pk.hex]["slot"]) == (None, 1)


def test_cancel_and_progress(stage):
    export = stage.running()
    stage.race(partial(stage.cancel, export), partial(stage.progress, export, "t0", 0.5))


def test_the_costs_of_two_renders_of_one_export(stage):
    export = stage.running()
    found = stage.race(
        partial(stage.progress, export, "t0", 0.5, usd=0.25),
        partial(stage.progress, export, "unwanted", 0.1, usd=0.5),
        partial(stage.progress, export, "t0", 0.4, usd=0.125),
    )
    for end in found.ends:
        assert stage.rows(end.world)[export.pk.hex]["render_cost_usd"] == 0.75


def test_cancel_and_cancel(stage):
    export = stage.running()
    stage.race(partial(stage.cancel, export), partial(stage.cancel, export))


@pytest.mark.parametrize("whose", [(0, 0), (0, 1)])
def test_cancel_and_admit(stage, whose):
    stage.limits(1)
    first, _ = waiting(stage, *whose)
    stage.race(partial(stage.cancel, first), stage.admit)


def test_cancel_of_the_first_and_a_creation_in_the_same_lane(stage):
    stage.limits(1)
    stage.running(1)
    first = stage.create(0)
    stage.race(partial(stage.cancel, first), partial(stage.create, 0))


def test_end_and_end(stage):
    """Remotion's own webhook and a poll bring the same end, and somebody is next."""
    stage.limits(1)
    export = stage.running()
    stage.create(1)

    def one(results):
        assert sorted(results) == [False, True]

    found = stage.race(
        partial(stage.complete, export, "t0"), partial(stage.complete, export, "t0"), check=one
    )
    for end in found.ends:
        assert len(stage.rows(end.world, "deliveries")) == 1


def test_success_and_error(stage):
    export = stage.running()
    stage.race(partial(stage.complete, export, "t0"), partial(stage.fail, export, "t0"))


def test_two_sweepers_and_a_start_that_is_due(stage):
    stage.create()

    def one(results):
        assert sum(results) == 1

    stage.race(partial(stage.due, 61), partial(stage.due, 61), check=one)


def test_two_sweepers_and_a_poll_that_is_due(stage):
    stage.running()

    def one(results):
        assert sum(results) == 1

    stage.race(partial(stage.due, 61), partial(stage.due, 61), check=one)


def test_two_sweepers_and_a_worker_that_died(stage):
    stage.limits(1)
    stage.claimed()
    stage.create(1)

    def one(results):
        assert sum(results) == 1

    stage.race(partial(stage.due, 181), partial(stage.due, 181), check=one)


def test_two_sweepers_and_a_render_past_its_time(stage):
    stage.limits(1)
    stage.running()
    stage.create(1)

    def one(results):
        assert sum(results) == 1

    stage.race(partial(stage.due, 901), partial(stage.due, 901), check=one)


def test_whole_sweeps_at_the_same_time(stage):
    stage.limits(1)
    stage.claimed()
    waiting(stage, 1, 1)
    stage.race(partial(stage.sweep, 181), partial(stage.sweep, 181))


def test_an_attempt_given_up_and_its_late_report(stage):
    export = stage.claimed()

    found = stage.race(partial(stage.due, 181), partial(stage.accept, export, "t0"))
    for end in found.ends:
        [row] = stage.rows(end.world).values()
        kept = end.stands[1].result is Action.KEEP
        assert (row["attempt"], row["render_id"]) == ((1, "r-t0") if kept else (2, None))


def test_an_attempt_given_up_and_its_late_success(stage):
    export = stage.claimed()
    stage.race(partial(stage.due, 181), partial(stage.complete, export, "t0"))


def test_an_attempt_given_up_though_its_file_is_there_and_its_late_error(stage):
    export = stage.claimed()
    stage.outside.do("file", output_key(export_id=str(export.pk), attempt=1, codec="h264"))
    stage.race(partial(stage.due, 181), partial(stage.fail, export, "t0"))


def test_a_start_sent_again_and_its_claim(stage):
    export = stage.create()
    stage.race(partial(stage.due, 61), partial(stage.work, export, "t1"))


def test_pause_and_admit(stage):
    waiting(stage, 0, 1)
    stage.race(stage.pause, stage.admit, whole=False)


def test_pause_and_create(stage):
    stage.race(stage.pause, partial(stage.create, 0), whole=False)


def test_pause_and_pause(stage):
    waiting(stage, 0)
    stage.race(stage.pause, stage.pause, whole=False)


def test_resume_and_create(stage):
    stage.limits(2)
    stage.pause()
    stage.create(0)
    stage.race(stage.resume, partial(stage.create, 1))


def test_resume_and_resume(stage):
    stage.limits(1)
    stage.pause()
    stage.create(0)
    stage.create(1)
    stage.race(stage.resume, stage.resume)


def test_resume_and_cancel(stage):
    stage.limits(1)
    stage.pause()
    first = stage.create(0)
    stage.create(0)
    stage.race(stage.resume, partial(stage.cancel, first))


@pytest.mark.parametrize("same_choices", [True, False])
def test_two_frees_after_the_limit_was_lowered(stage, same_choices):
    stage.outside.same_choices = same_choices
    stage.limits(3)
    *exports, last = (stage.running(0, f"t{n}") for n in range(1, 4))
    # The one that stays holds slots that there are no more.
    ExportRequest.objects.filter(pk=last.pk).update(slot=9, user_slot=f"{last.user_id}:9")
    for _ in range(3):
        stage.create(0)
    stage.limits(2)
    found = stage.race(*(partial(stage.complete, export, f"t{n}") for n, export in enumerate(exports, 1)))
    for end in found.ends:
        assert sum(row["slot"] is not None for row in stage.rows(end.world).values()) == 2


@pytest.mark.parametrize("same_choices", [True, False])
def test_two_frees_and_one_who_waits(stage, same_choices):
    stage.outside.same_choices = same_choices
    stage.limits(2, 1)
    exports = [stage.running(0), stage.running(1, "t1")]
    stage.create(0)
    stage.create(1)
    stage.race(*(partial(stage.complete, export, f"t{n}") for n, export in enumerate(exports)))


def test_a_lane_mended_and_a_creation(stage):
    stage.limits(1)
    stage.running(1)
    export = stage.create(0)
    ExportRequest.objects.filter(pk=export.pk).update(rank=None)
    stage.race(partial(stage.sweep, 1), partial(stage.create, 0, 1))


# --- Creating once ------------------------------------------------------------------------------------------


def keyed(stage, who=0):
    """Ask for an export with a key, each time with the same."""
    key = IdempotencyKey(stored=f"{stage.users[who].pk}:k", request_hash="h")
    try:
        return stage.create(who, key=key)
    except services.AlreadyCreatedError as found:
        return found.export


@pytest.mark.parametrize("slots", [1, 2])
def test_create_and_create_with_one_key(stage, slots):
    stage.limits(slots)
    if slots == 1:
        stage.running(1)
    before = ExportRequest.objects.count()
    found = stage.race(*[partial(keyed, stage)] * 2)
    for end in found.ends:
        first, second = (stand.result.pk for stand in end.stands)
        assert first == second
        assert len(stage.rows(end.world)) == before + 1


# --- Batches ------------------------------------------------------------------------------------------------


def all_or_nothing(stage, found, rows=2):
    """Make sure that every schedule ends with all rows, and that some go through each stage."""
    stages = {name for world in found.worlds for name in stages_of(stage, world)}
    assert {"staged", "committed", "released"} <= stages
    for end in found.ends:
        assert "released" in stages_of(stage, end.world)
        done = [row for row in stage.rows(end.world).values() if row["status"] != "staged"]
        assert sorted(row["row"] for row in done if row["row"]) == list(range(1, rows + 1))


def stages_of(stage, world):
    return [batch["stage"] for batch in stage.rows(world, "batches").values()]


def test_batch_and_batch_with_one_key(stage):
    # Paused, since what becomes of those that wait has races of its own above.
    stage.pause()

    def one(results):
        assert results[0].pk == results[1].pk

    found = stage.race(stage.batch, stage.batch, whole=False, check=one)
    all_or_nothing(stage, found)


def test_a_batch_is_completed_by_the_same_request_wherever_the_first_one_died(stage):
    stage.limits(2)
    explorer = Explorer(stage.database, stage.outside, [stage.batch])
    states = explorer.explore()
    for world in states.worlds:
        explorer.restore(world)
        batch = stage.batch()
        stage.sweep(1)
        rows = ExportRequest.objects.filter(batch_id=batch.pk).order_by("row")
        assert [row.row for row in rows] == [1, 2]
        assert [row.slot is not None for row in rows] == [True, True]
        assert {row.status for row in rows} == {Status.PENDING}
        explorer.world()
        stage._settle()
    assert len(states.worlds) >= 7


def test_a_batch_and_sweeps(stage):
    stage.pause()
    found = stage.race(stage.batch, partial(stage.sweep, 1), whole=False)
    all_or_nothing(stage, found)


def test_a_committed_batch_whose_server_died_and_two_sweepers(stage, monkeypatch):
    stage.limits(1)
    with monkeypatch.context() as patch:
        patch.setattr("exports.services.batches._let_wait", lambda *args, **more: None)
        stage.batch()
    found = stage.race(*[partial(services.release_batches, now=stage.now)] * 2, whole=False)
    assert {name for end in found.ends for name in stages_of(stage, end.world)} == {"released"}


def test_a_batch_that_is_given_up_while_it_is_completed(stage, monkeypatch):
    stage.pause()
    with monkeypatch.context() as patch:
        patch.setattr("exports.services.batches._stage_rows", lambda *args, **more: None)
        patch.setattr("exports.services.batches._commit", lambda *args, **more: exit())
        with pytest.raises(SystemExit):
            stage.batch()
    found = stage.race(stage.batch, partial(stage.give_up, 1.0), whole=False)
    for end in found.ends:
        given_up = isinstance(end.stands[0].result, KeyInUseError)
        assert ("released" in stages_of(stage, end.world)) != given_up
    assert any("discarded" in stages_of(stage, world) for world in found.worlds)


def test_a_batch_and_the_same_after_its_project_was_changed(stage):
    stage.pause()
    seen = Project.objects.get(pk=stage.projects[0].pk)
    Project.objects.filter(pk=seen.pk).update(updated_at=seen.updated_at + timedelta(seconds=1))
    seen.refresh_from_db()

    def changed():
        before = stage.projects[0]
        stage.projects[0] = seen
        try:
            return stage.batch(1, codec="vp9", seconds=1)
        finally:
            stage.projects[0] = before

    found = stage.race(partial(stage.batch, 1), changed, whole=False)
    for end in found.ends:
        first, second = (stand.result for stand in end.stands)
        assert isinstance(second, Batch)
        assert isinstance(first, KeyInUseError) or first.pk == second.pk
        codecs = {row["codec"] for row in stage.rows(end.world).values() if row["status"] != "staged"}
        assert len(codecs) == 1


def test_a_batch_and_an_export_of_the_same_user(stage):
    stage.limits(1)
    found = stage.race(partial(stage.batch, 1), partial(stage.create, 0))
    all_or_nothing(stage, found, rows=1)


def test_a_batch_that_is_committed_before_its_rows_are_there_is_found_out(stage, monkeypatch):
    real = services.batches._stage_rows

    def early(batch, **more):
        services.batches._commit(batch, now=stage.now)
        real(batch, **more)

    monkeypatch.setattr("exports.services.batches._stage_rows", early)
    with pytest.raises(AssertionError, match="a committed batch lacks rows"):
        stage.race(stage.batch)


def test_a_batch_whose_rows_are_not_staged_is_found_out(stage, monkeypatch):
    real = services.batches._staged

    def pending(*args, **more):
        export = real(*args, **more)
        export.status = Status.PENDING
        return export

    monkeypatch.setattr("exports.services.batches._staged", pending)
    with pytest.raises(AssertionError, match="a row of a batch that isn't committed may render"):
        stage.race(stage.batch)

"""Races with real threads: eight that begin together, each on a connection of its own, round after round.

What decides each race is one conditional update or one unique key. These tests are of the database, as the
interleavings in ``tests/exports`` are of the services: they say that it decides as the services rely on.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection
from rest_framework_simplejwt.exceptions import TokenError

from exports import services
from exports.models import ExportRequest, Pause, Project, Render
from exports.services import WrongStatusError
from exports.services.line import look
from exports.states import ENDED, Status
from lambda_worker.contract import (
    Action,
    RenderError,
    RenderFailure,
    RenderProgress,
    RenderStarted,
    RenderSuccess,
    RenderThrottled,
)
from notifications.models import Channel, Delivery
from notifications.services import notify, send_due
from renderhub.models import RevokedToken
from renderhub.tokens import RefreshToken
from tests.conftest import NOW, FakeQueue

RACERS = 8
ROUNDS = 12

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.database]


class Race:
    """Eight threads that begin together, as often as they are asked to."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(RACERS)

    def __call__(self, calls: list[Callable[[], Any]]) -> list[Any]:
        """Return what each call returned, or the error that it raised."""
        assert len(calls) == RACERS
        ready = threading.Barrier(RACERS)

        def run(call: Callable[[], Any]) -> Any:
            # It also keeps any thread from running two.
            ready.wait(30)
            try:
                return call()
            except (IntegrityError, TokenError, WrongStatusError) as error:
                return error

        return list(self._pool.map(run, calls))

    def close(self) -> None:
        self([lambda: connection.close()] * RACERS)  # looked up in each thread, which has its own
        self._pool.shutdown()


@pytest.fixture
def race() -> Iterator[Race]:
    found = Race()
    yield found
    found.close()


@pytest.fixture
def projects() -> list[Project]:
    users = [User.objects.create_user(f"user-{n}", email=f"user-{n}@example.com") for n in range(4)]
    return [Project.objects.create(user=user, title="T", composition_id="M") for user in users]


@pytest.fixture
def queue() -> FakeQueue:
    return FakeQueue()


def make(project: Project, **columns: Any) -> ExportRequest:
    """Record an export as it is at some point of its life."""
    given = {"created_at": NOW, "queued_at": NOW, "updated_at": NOW, **columns}
    return ExportRequest.objects.create(
        project=project,
        user_id=project.user_id,
        title="T",
        composition_id="M",
        serve_url="https://x/sites/main/index.html",
        codec="h264",
        **given,
    )


def running(project: Project, number: int = 1, **columns: Any) -> ExportRequest:
    """Record an export whose render has been claimed under the token ``t``."""
    given = {
        "status": Status.PROCESSING,
        "slot": number,
        "user_slot": f"{project.user_id}:{number}",
        "start_token": "t",
        "started_at": NOW,
        "due_at": NOW,
    }
    return make(project, **{**given, **columns})


def base(export: ExportRequest) -> dict[str, Any]:
    return {"export_id": str(export.pk), "attempt": export.attempt}


def fresh(export: ExportRequest) -> ExportRequest:
    return ExportRequest.objects.get(pk=export.pk)


# --- One row ------------------------------------------------------------------------------------------------


def test_of_many_claims_one_renders(race, projects):
    for _ in range(ROUNDS):
        export = make(projects[0])
        claims = [RenderStarted(**base(export), token=f"t{n}", version=1) for n in range(RACERS)]
        answers = race([partial(services.claim_render, report=claim, now=NOW) for claim in claims])
        assert Counter(answers) == {Action.RENDER: 1, Action.SKIP: RACERS - 1}
        row = fresh(export)
        assert row.start_token == f"t{answers.index(Action.RENDER)}"
        assert (row.version, len(row.timeline)) == (2, 1)


def test_of_many_renders_of_one_start_one_is_kept_and_all_are_known(race, projects):
    for round_number in range(ROUNDS):
        export = running(projects[0], round_number + 1)
        reports = [
            RenderProgress(**base(export), token="t", render_id=f"{export.pk}-{n}", bucket_name="b")
            for n in range(RACERS)
        ]
        answers = race([partial(services.accept_render, report=report, now=NOW) for report in reports])
        assert Counter(answers) == {Action.KEEP: 1, Action.CANCEL: RACERS - 1}
        assert fresh(export).render_id == f"{export.pk}-{answers.index(Action.KEEP)}"
        assert Render.objects.filter(export=export).count() == RACERS


def test_a_render_that_is_reported_many_times_is_one_render(race, projects):
    for round_number in range(ROUNDS):
        export = running(projects[0], round_number + 1)
        report = RenderProgress(**base(export), token="t", render_id=str(export.pk), bucket_name="b")
        answers = race([partial(services.accept_render, report=report, now=NOW)] * RACERS)
        assert answers == [Action.KEEP] * RACERS
        assert Render.objects.filter(export=export).count() == 1
        assert fresh(export).version == 2


def test_an_accepted_render_and_one_put_off_exclude_each_other(race, projects):
    for round_number in range(ROUNDS):
        export = running(projects[0], round_number + 1)
        kept = RenderProgress(**base(export), token="t", render_id=str(export.pk), bucket_name="b")
        throttled = RenderThrottled(**base(export), token="t")
        answers = race(
            [
                partial(services.accept_render, report=kept, now=NOW),
                partial(services.put_off_start, report=throttled, now=NOW),
            ]
            * (RACERS // 2)
        )
        row = fresh(export)
        assert row.version == 2
        assert (row.render_id is None) == (row.start_token is None)
        assert Counter(answers[::2]) == {Action.CANCEL if row.render_id is None else Action.KEEP: RACERS // 2}


@pytest.fixture
def endings(queue, projects) -> Callable[[ExportRequest], list[Callable[[], Any]]]:
    """Whoever may end an export: Remotion, twice, with both outcomes; its user; and the sweeper."""

    def all_of(export: ExportRequest) -> list[Callable[[], Any]]:
        render: dict[str, Any] = {**base(export), "render_id": str(export.pk), "bucket_name": "b"}
        success = RenderSuccess(**render, output_size_bytes=7)
        error = RenderError(**render, errors=(RenderFailure(message="The chart has no data"),))
        more: dict[str, Any] = {"queue": queue, "now": NOW}
        calls: list[Callable[[], Any]] = [
            partial(services.complete_export, report=success, **more),
            partial(services.fail_render, report=error, **more),
            partial(services.cancel_export, export_id=export.pk, by=projects[0].user, **more),
            partial(services.handle_due, queue=queue, now=NOW + timedelta(hours=1)),
        ]
        return calls * (RACERS // 4)

    return all_of


def test_of_many_ends_one_comes_true_and_is_told_once(race, projects, endings, outputs, monkeypatch):
    monkeypatch.setattr("exports.renders.cancel", lambda **_: True)
    for _ in range(ROUNDS):
        export = running(projects[0])
        answers = race(endings(export))
        # A cancellation answers with the export, the sweeper with how many it has ended.
        assert sum(answer == 1 or isinstance(answer, tuple) for answer in answers) == 1
        row = fresh(export)
        assert row.status in ENDED
        assert (row.slot, row.user_slot, row.due_at, row.notify_pending) == (None, None, None, False)
        assert (row.version, len(row.timeline)) == (2, 1)
        told = Delivery.objects.get(key=f"export:{export.pk}:1")
        assert told.kind == f"export_{row.status}"


def test_of_many_retries_one_begins_a_further_attempt(race, projects, queue):
    for _ in range(ROUNDS):
        export = make(projects[0], status=Status.FAILED, notify_pending=True)
        retry = partial(services.retry_export, export_id=export.pk, by=projects[0].user, queue=queue, now=NOW)
        answers = race([retry] * RACERS)
        assert sum(isinstance(answer, WrongStatusError) for answer in answers) == RACERS - 1
        row = fresh(export)
        assert (row.attempt, row.status) == (2, Status.PENDING)
        # The end before is told all the same.
        assert Delivery.objects.get(key=f"export:{export.pk}:1").kind == "export_failed"
        row.delete()


def test_progress_ends_at_the_highest_that_anybody_has_seen(race, projects):
    for round_number in range(ROUNDS):
        export = running(projects[0], round_number + 1, render_id=f"r{round_number}")
        reports = [
            RenderProgress(
                **base(export), render_id=f"r{round_number}", bucket_name="b", progress=(n + 1) / RACERS
            )
            for n in range(RACERS)
        ]
        race([partial(services.record_progress, report=report, now=NOW) for report in reports])
        assert fresh(export).progress == 1.0


# --- Slots and the line -------------------------------------------------------------------------------------


@pytest.fixture
def limits(settings) -> None:
    settings.RENDER_MAX_CONCURRENCY = 4
    settings.RENDER_MAX_CONCURRENCY_PER_USER = 2


def assert_limits_hold() -> None:
    holders = list(ExportRequest.objects.holders().values_list("user_id", flat=True))
    assert len(holders) <= 4
    assert max(Counter(holders).values(), default=0) <= 2


def test_those_who_admit_give_out_each_slot_once(race, projects, queue, limits):
    for _ in range(ROUNDS // 2):
        for project in projects[:3]:
            for _each in range(3):
                make(project)
            look(project.user_id, now=NOW)
        race([partial(services.admit, queue=queue, now=NOW)] * RACERS)
        assert_limits_hold()
        assert ExportRequest.objects.holders().count() == 4
        sent = [message.export_id for message in queue.messages]
        assert sorted(sent) == sorted(str(row.pk) for row in ExportRequest.objects.holders())
        assert all(row.version == 2 for row in ExportRequest.objects.holders())
        ExportRequest.objects.all().delete()
        queue.messages.clear()


@pytest.mark.parametrize(("users", "slots"), [(1, 2), (4, 4)])
def test_those_who_create_keep_the_limits_and_leave_nobody_without_a_place(
    race, projects, queue, limits, users, slots
):
    def create(number: int) -> ExportRequest:
        return services.create_export(
            project=projects[number % users],
            composition_id="M",
            serve_url="https://x/sites/main/index.html",
            codec="h264",
            input_props={},
            queue=queue,
            now=NOW,
        )

    for _ in range(ROUNDS // 2):
        race([partial(create, number) for number in range(RACERS)])
        assert_limits_hold()
        assert ExportRequest.objects.count() == RACERS
        assert ExportRequest.objects.holders().count() == slots
        waiting = set(ExportRequest.objects.waiting().values_list("user_id", flat=True))
        # Two, where one that goes before the other came to be seen at that very moment.
        assert set(ExportRequest.objects.line().values_list("user_id", flat=True)) == waiting
        assert len({message.export_id for message in queue.messages}) == len(queue.messages) == slots
        ExportRequest.objects.all().delete()
        queue.messages.clear()


@pytest.mark.parametrize("column", ["slot", "user_slot"])
def test_of_many_rows_one_gets_a_place(race, projects, column):
    rows = [make(projects[0]) for _ in range(RACERS)]
    for number in range(1, ROUNDS + 1):
        place = number if column == "slot" else f"{projects[0].user_id}:{number}"
        answers = race(
            [partial(ExportRequest.objects.filter(pk=row.pk).update, **{column: place}) for row in rows]
        )
        assert sum(answer == 1 for answer in answers) == 1
        assert sum(isinstance(answer, IntegrityError) for answer in answers) == RACERS - 1
        assert ExportRequest.objects.filter(**{column: place}).count() == 1


def test_many_sweepers_send_what_is_due_once(race, projects, queue):
    for _ in range(ROUNDS // 3):
        rows = [make(projects[n % 4], slot=n + 1, user_slot=f"x:{n}", due_at=NOW) for n in range(RACERS)]
        taken = race([partial(services.handle_due, queue=queue, now=NOW + timedelta(seconds=1))] * RACERS)
        assert sum(taken) == RACERS
        assert sorted(each.export_id for each in queue.messages) == sorted(str(row.pk) for row in rows)
        ExportRequest.objects.all().delete()
        queue.messages.clear()


# --- Unique keys --------------------------------------------------------------------------------------------


def test_many_who_tell_a_key_tell_it_once(race, projects):
    for round_number in range(ROUNDS):
        tell = partial(
            notify,
            user_id=projects[0].user_id,
            kind="export_completed",
            key=f"k{round_number}",
            context={},
            now=NOW,
        )
        assert sum(race([tell] * RACERS)) == 1
        assert Delivery.objects.filter(key=f"k{round_number}").count() == 1


def test_a_delivery_is_sent_by_one_of_many_who_send(race, projects):
    class Transport:
        def send(self, delivery: Delivery) -> None:
            sent.append(delivery.pk)

    sent: list[Any] = []
    for round_number in range(ROUNDS):
        notify(
            user_id=projects[0].user_id, kind="export_completed", key=str(round_number), context={}, now=NOW
        )
        race([partial(send_due, now=NOW, transports={Channel.EMAIL: Transport()})] * RACERS)
    assert len(sent) == len(set(sent)) == ROUNDS


def test_a_refresh_token_is_used_up_by_one_of_many(race, projects):
    for _ in range(ROUNDS):
        token: Any = str(RefreshToken.for_user(projects[0].user))
        answers = race([lambda: RefreshToken(token).blacklist()] * RACERS)  # noqa: B023  # run at once
        assert sum(answer is None for answer in answers) == 1
        assert sum(isinstance(answer, TokenError) for answer in answers) == RACERS - 1
    assert RevokedToken.objects.count() == ROUNDS


def test_many_who_pause_make_one_pause(race):
    for _ in range(ROUNDS):
        race([partial(services.pause_renders, by=f"ops-{n}", reason="", now=NOW) for n in range(RACERS)])
        assert Pause.objects.count() == 1
        Pause.objects.all().delete()

"""Webhooks in every order, repeated, replayed, and mixed with those of an older attempt.

Two proofs: every order of a few webhooks of one or two attempts, exhaustively; and long random sequences of
signed webhooks, people's wishes and sweeps, each step compared with a model of what an export is to do.
"""

import json
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from exports import services
from exports.models import ExportRequest, Project, Render
from exports.states import ENDED
from lambda_worker import contract, signing
from lambda_worker.contract import (
    RenderCosts,
    RenderError,
    RenderFailure,
    RenderProgress,
    RenderStarted,
    RenderSuccess,
    RenderThrottled,
    RenderTimeout,
    Webhook,
    output_key,
)
from notifications.models import Delivery
from tests.conftest import NOW, FakeQueue, post_webhook
from tests.exports.interleavings import TABLES, Database

# Not counted in the coverage, which would double the time; other tests reach almost all of the same lines.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.no_cover]

FATAL, RETRYABLE = "The chart has no data to draw", "Target closed"


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr("exports.renders.cancel", lambda **arguments: True)
    monkeypatch.setattr("exports.services.live.websocket.push", lambda **arguments: None)
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def addressed(transactional_db) -> Project:
    user = User.objects.create_user("ada", email="ada@example.com")
    return Project.objects.create(user=user, title="Report", composition_id="M")


def new_export(project: Project, queue: FakeQueue) -> ExportRequest:
    return services.create_export(
        project=project,
        composition_id="M",
        serve_url="https://x/sites/main/index.html",
        codec="h264",
        input_props={},
        queue=queue,
        now=NOW,
    )


# --- Every order --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Event:
    """Something that happens once, and when it can at the earliest."""

    name: str
    happen: Callable[[], Any]
    possible: Callable[[], bool] = lambda: True


class Attempt:
    """The webhooks of one attempt of an export, whose invocation is ``t<n>`` and whose render is ``r<n>``."""

    def __init__(self, export: ExportRequest, number: int, queue: FakeQueue) -> None:
        self.export = export
        self.number = number
        self.queue = queue
        self.base: Mapping[str, Any] = {"export_id": str(export.pk), "attempt": number}
        self.render: Mapping[str, Any] = {**self.base, "render_id": f"r{number}", "bucket_name": "b"}

    def claim(self) -> Event:
        def happen() -> None:
            row = ExportRequest.objects.get()
            report = RenderStarted(**self.base, token=f"t{self.number}", version=row.version)
            assert services.claim_render(report=report, now=NOW) == "render"

        return Event("claim", happen, lambda: ExportRequest.objects.get().attempt == self.number)

    def after_claim(self, name: str, happen: Callable[[], Any]) -> Event:
        return Event(name, happen, self._was_claimed)

    def _was_claimed(self) -> bool:
        entries = ExportRequest.objects.get().timeline
        return any(each["type"] == "claimed" and each["attempt"] == self.number for each in entries)

    def repeated_claim(self) -> Event:
        report = RenderStarted(**self.base, token=f"t{self.number}", version=1)
        return self.after_claim("claim again", partial(services.claim_render, report=report, now=NOW))

    def first(self) -> Event:
        report = RenderProgress(**self.render, token=f"t{self.number}")

        def happen() -> None:
            row = ExportRequest.objects.get()
            action = services.accept_render(report=report, now=NOW)
            if row.attempt == self.number and row.status != "failed":
                assert action == "keep", "a render that is wanted is told to stop"

        return self.after_claim("first", happen)

    def progress(self, value: float) -> Event:
        report = RenderProgress(**self.render, progress=value, costs=RenderCosts(amount_usd=value / 100))
        return self.after_claim(
            f"progress {value}", partial(services.record_progress, report=report, now=NOW)
        )

    def end(self, outcome: str) -> Event:
        costs = RenderCosts(amount_usd=0.02)
        if outcome == "success":
            success = RenderSuccess(**self.render, output_size_bytes=7, costs=costs)
            happen = partial(services.complete_export, report=success, queue=self.queue, now=NOW)
        elif outcome == "timeout":
            timeout = RenderTimeout(**self.render, costs=costs)
            happen = partial(services.fail_render, report=timeout, queue=self.queue, now=NOW)
        else:
            error = RenderError(**self.render, errors=(RenderFailure(message=outcome),), costs=costs)
            happen = partial(services.fail_render, report=error, queue=self.queue, now=NOW)
        return self.after_claim(f"end: {outcome}", happen)


class Orders:
    """Goes through every order of some events. What two orders have left alike goes on alike."""

    def __init__(self, database: Database, events: list[Event], check: Callable[[], None]) -> None:
        self._database = database
        self._events = events
        self._check = check
        self._known: dict[Any, int] = {}

    def count(self, left: frozenset[int] | None = None, told: tuple[str, ...] = ()) -> int:
        """Return how many orders there are, after having gone through each of them."""
        left = frozenset(range(len(self._events))) if left is None else left
        rows = self._database.read()
        key = (self._alike(rows), left)
        if key in self._known:
            return self._known[key]
        orders = 0
        for number in sorted(left):
            event = self._events[number]
            self._database.write(rows)
            if event.possible():
                before = ExportRequest.objects.get()
                event.happen()
                after = ExportRequest.objects.get()
                assert after.progress >= before.progress or after.attempt > before.attempt
                assert before.status not in ENDED or after.version == before.version, (*told, event.name)
                orders += self.count(left - {number}, (*told, event.name))
        if not orders:
            self._database.write(rows)
            try:
                assert not left, f"never possible: {[self._events[number].name for number in left]}"
                self._check()
            except AssertionError as error:
                error.add_note(f"in this order: {told}")
                raise
            orders = 1
        self._known[key] = orders
        return orders

    def _alike(self, rows: Any) -> Any:
        """Leave out what is drawn by lot, and means nothing."""
        drawn = {"renders": "id", "deliveries": "id", "export_requests": "queue_message_id"}
        alike = []
        for table, content in zip(TABLES, rows, strict=True):
            index = self._database.columns[table].index(drawn.get(table, "id"))
            alike.append(tuple(sorted((*row[:index], *row[index + 1 :]) for row in content)))
        return tuple(alike)


@pytest.fixture
def database(transactional_db, outputs):
    if connection.vendor != "sqlite":
        pytest.skip("orders are gone through by copying rows from and to SQLite")
    tables = Database()
    yield tables
    tables.close()


def told_once(status: str, attempt: int, costs: Mapping[str, str], **columns: Any) -> Callable[[], None]:
    def check() -> None:
        row = ExportRequest.objects.get()
        assert (row.status, row.attempt, row.slot) == (status, attempt, None)
        for name, value in columns.items():
            assert getattr(row, name) == value
        assert dict(Render.objects.values_list("render_id", "cost_usd")) == {
            render: Decimal(cost) for render, cost in costs.items()
        }
        assert row.render_cost_usd == sum(map(Decimal, costs.values()))
        assert [each.key for each in Delivery.objects.all()] == [f"export:{row.pk}:{attempt}"]

    return check


OUTCOMES: dict[str, dict[str, Any]] = {
    "success": {"status": "completed", "progress": 1.0, "output_size_bytes": 7},
    FATAL: {"status": "failed", "error_code": "composition_failed"},
    "timeout": {"status": "failed", "error_code": "timeout"},
}


@pytest.mark.parametrize("outcome", ["success", FATAL])
@pytest.mark.parametrize("repeated", range(6))
def test_every_order_of_an_attempts_webhooks_with_any_one_repeated(
    database, addressed, sent, outcome, repeated
):
    attempt = Attempt(new_export(addressed, sent), 1, sent)
    events = [
        attempt.first(),
        attempt.progress(0.3),
        attempt.progress(0.9),
        attempt.end(outcome),
        attempt.end(outcome),  # Remotion's own
        attempt.repeated_claim(),
    ]
    events = [attempt.claim(), *events, events[repeated]]
    check = told_once(attempt=1, costs={"r1": "0.02"}, **OUTCOMES[outcome])
    # Nothing is reported before the claim is answered; the seven others come in any order.
    assert Orders(database, events, check).count() == 5040


@pytest.mark.slow
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_order_of_two_attempts_webhooks(database, addressed, sent, outcome):
    export = new_export(addressed, sent)
    first, second = Attempt(export, 1, sent), Attempt(export, 2, sent)
    events = [
        first.claim(),
        first.first(),
        first.progress(0.9),
        first.end(RETRYABLE),
        first.end(RETRYABLE),
        second.claim(),
        second.first(),
        second.progress(0.3),
        second.end(outcome),
        second.end(outcome),
    ]
    check = told_once(
        attempt=2,
        costs={"r1": "0.02", "r2": "0.02"},
        **OUTCOMES[outcome],
    )
    # The second attempt's claim waits for an end of the first.
    assert Orders(database, events, check).count() == 20_736


def test_every_order_of_a_lost_attempt_that_did_succeed_and_the_one_after_it(database, addressed, sent):
    export = new_export(addressed, sent)
    first, second = Attempt(export, 1, sent), Attempt(export, 2, sent)

    services.claim_render(
        report=RenderStarted(**first.base, token="t1", version=ExportRequest.objects.get().version), now=NOW
    )
    services.handle_due(queue=sent, now=NOW + timedelta(seconds=181))
    events = [
        first.first(),
        first.progress(0.9),
        first.end("success"),
        first.end("success"),
        second.claim(),
        second.first(),
        second.progress(0.3),
        second.end("success"),
    ]
    check = told_once(
        "completed",
        2,
        {"r1": "0.02", "r2": "0.02"},
        output_key=output_key(export_id=str(export.pk), attempt=2, codec="h264"),
    )
    assert Orders(database, events, check).count() == 10_080  # 8! / 4: the second claim goes before three


# --- Long random sequences ----------------------------------------------------------------------------------


@dataclass
class Model:
    """What an export is to be after what has happened to it, told anew and without a database."""

    status: str = "pending"
    attempt: int = 1
    asked: int = 1
    version: int = 1
    token: str | None = None
    render: str | None = None
    progress: float = 0.0
    ends: Counter[int] = field(default_factory=Counter)
    costs: dict[str, float] = field(default_factory=dict)

    def pay(self, render: str, cost: float) -> None:
        self.costs[render] = max(self.costs.get(render, 0.0), cost)

    def claim(self, attempt: int, token: str, version: int) -> str:
        if attempt != self.attempt or self.render is not None:
            return "skip"
        if self.status == "processing" and self.token == token:
            return "render"
        put_off = self.status == "processing" and self.token is None
        if version != self.version or not (self.status == "pending" or put_off):
            return "skip"
        self.status, self.token = "processing", token
        self.version += 1
        return "render"

    def awaits(self, attempt: int, token: str) -> bool:
        return (self.status, self.attempt, self.token, self.render) == ("processing", attempt, token, None)

    def first(self, attempt: int, token: str, render: str) -> str:
        self.pay(render, 0.0)
        if self.render == render:
            return "keep"
        if not self.awaits(attempt, token):
            return "cancel"
        self.render = render
        self.version += 1
        return "keep"

    def move_on(self, attempt: int, render: str, value: float) -> None:
        self.pay(render, value / 100)
        if (self.status, self.attempt, self.render) == ("processing", attempt, render):
            self.progress = max(self.progress, value)

    def may_end(self, attempt: int, render: str) -> bool:
        return self.status == "processing" and self.attempt == attempt and self.render in (None, render)

    def finish(self, status: str) -> None:
        self.status = status
        self.version += 1
        self.ends[self.attempt] += 1

    def succeed(self, attempt: int, render: str) -> None:
        self.pay(render, 0.02)
        if self.may_end(attempt, render):
            self.render, self.progress = render, 1.0
            self.finish("completed")

    def fail(self, attempt: int, render: str, *, retryable: bool) -> None:
        self.pay(render, 0.02)
        if self.may_end(attempt, render):
            self.lose(retryable=retryable)

    def lose(self, *, retryable: bool) -> None:
        if retryable and self.attempt + 1 - self.asked < 3:
            self.begin_again()
        else:
            self.finish("failed")

    def begin_again(self) -> None:
        self.status, self.token, self.render, self.progress = "pending", None, None, 0.0
        self.attempt += 1
        self.version += 1


ATTEMPTS = st.integers(0, 1)  # how far back
TOKENS = st.sampled_from(["a", "b"])


class Webhooks(RuleBasedStateMachine):
    """Sends what the worker and Remotion might send, in any order, and what people and the sweeper do."""

    bodies = Bundle("bodies")

    @initialize()
    def create(self) -> None:
        self.queue = FakeQueue()
        self.client = Client()
        self.model = Model()
        self.export = new_export(Project.objects.get(), self.queue)
        self.id = str(self.export.pk)
        self.user = User.objects.get()

    def teardown(self) -> None:
        ExportRequest.objects.all().delete()
        Delivery.objects.all().delete()

    def send(self, webhook: Webhook) -> Any:
        body = contract.dump_webhook(webhook, id=str(uuid.uuid4()), timestamp=time.time())
        return self.post(body, signing.sign(body, secret="new-secret"))

    def post(self, body: bytes, signature: str) -> Any:
        answer = post_webhook(self.client, body, signature)
        assert answer.status_code == 200, answer.content
        return answer.json().get("action")

    def older(self, back: int) -> int:
        return max(self.model.attempt - back, 1)

    def base(self, attempt: int, token: str) -> dict[str, Any]:
        return {
            "export_id": self.id,
            "attempt": attempt,
            "render_id": f"r-{attempt}-{token}",
            "bucket_name": "b",
        }

    @rule(back=ATTEMPTS, token=TOKENS, wrong=st.sampled_from([0, 0, 0, 1]))
    def claim(self, back: int, token: str, wrong: int) -> None:
        attempt, version = self.older(back), self.model.version + wrong
        token = f"{attempt}{token}"
        report = RenderStarted(export_id=self.id, attempt=attempt, token=token, version=version)
        assert self.send(report) == self.model.claim(attempt, token, version)

    @rule(back=ATTEMPTS, token=TOKENS)
    def first(self, back: int, token: str) -> None:
        attempt = self.older(back)
        base = self.base(attempt, token)
        expected = self.model.first(attempt, f"{attempt}{token}", base["render_id"])
        assert self.send(RenderProgress(**base, token=f"{attempt}{token}")) == expected

    @rule(back=ATTEMPTS, token=TOKENS, value=st.sampled_from([0.1, 0.4, 0.8, 1.0]))
    def progress(self, back: int, token: str, value: float) -> None:
        attempt = self.older(back)
        base = self.base(attempt, token)
        self.model.move_on(attempt, base["render_id"], value)
        self.send(RenderProgress(**base, progress=value, costs=RenderCosts(amount_usd=value / 100)))

    @rule(back=ATTEMPTS, token=TOKENS)
    def throttled(self, back: int, token: str) -> None:
        attempt = self.older(back)
        if self.model.awaits(attempt, f"{attempt}{token}"):
            self.model.token = None
            self.model.version += 1
        self.send(RenderThrottled(export_id=self.id, attempt=attempt, token=f"{attempt}{token}"))

    @rule(back=ATTEMPTS, token=TOKENS)
    def refused(self, back: int, token: str) -> None:
        attempt = self.older(back)
        if self.model.awaits(attempt, f"{attempt}{token}"):
            self.model.finish("failed")
        error = RenderFailure(message="Function not found")
        self.send(RenderError(export_id=self.id, attempt=attempt, errors=(error,), token=f"{attempt}{token}"))

    @rule(back=ATTEMPTS, token=TOKENS)
    def success(self, back: int, token: str) -> None:
        attempt = self.older(back)
        base = self.base(attempt, token)
        self.model.succeed(attempt, base["render_id"])
        self.send(RenderSuccess(**base, output_size_bytes=7, costs=RenderCosts(amount_usd=0.02)))

    @rule(back=ATTEMPTS, token=TOKENS, message=st.sampled_from([FATAL, RETRYABLE, RETRYABLE]))
    def error(self, back: int, token: str, message: str) -> None:
        attempt = self.older(back)
        base = self.base(attempt, token)
        self.model.fail(attempt, base["render_id"], retryable=message == RETRYABLE)
        errors = (RenderFailure(message=message),)
        self.send(RenderError(**base, errors=errors, costs=RenderCosts(amount_usd=0.02)))

    @rule(back=ATTEMPTS, token=TOKENS)
    def timeout(self, back: int, token: str) -> None:
        attempt = self.older(back)
        base = self.base(attempt, token)
        self.model.fail(attempt, base["render_id"], retryable=False)
        self.send(RenderTimeout(**base, costs=RenderCosts(amount_usd=0.02)))

    @rule(target=bodies, back=ATTEMPTS, token=TOKENS, kind=st.sampled_from(["success", "error", "timeout"]))
    def native_end(self, back: int, token: str, kind: str) -> bytes:
        attempt = self.older(back)
        data = {
            "type": kind,
            "renderId": f"r-{attempt}-{token}",
            "bucketName": "b",
            "customData": {"exportId": self.id, "attempt": attempt},
            "costs": {"estimatedCost": 0.02},
            "errors": [{"message": RETRYABLE}],
        }
        body = json.dumps(data).encode()
        self.replay(body)
        return body

    @rule(body=bodies)
    def replay(self, body: bytes) -> None:
        """Remotion's own webhook carries no time, so that the very same bytes may come at any time."""
        data = json.loads(body)
        attempt, render = data["customData"]["attempt"], data["renderId"]
        if data["type"] == "success":
            self.model.succeed(attempt, render)
        else:
            self.model.fail(attempt, render, retryable=data["type"] == "error")
        self.post(body, signing.sign(body, secret="new-secret", scheme=signing.Scheme.REMOTION))

    @rule()
    def cancel(self) -> None:
        ask = partial(services.cancel_export, export_id=self.export.pk, by=self.user)
        if self.model.status in ENDED:
            with pytest.raises(services.WrongStatusError):
                ask(queue=self.queue, now=timezone.now())
        else:
            self.model.finish("cancelled")
            ask(queue=self.queue, now=timezone.now())

    @rule()
    def retry(self) -> None:
        ask = partial(services.retry_export, export_id=self.export.pk, by=self.user)
        if self.model.status in ("failed", "cancelled"):
            self.model.begin_again()
            self.model.asked = self.model.attempt
            self.model.version += 1  # it is given a slot at once
            ask(queue=self.queue, now=timezone.now())
        else:
            with pytest.raises(services.WrongStatusError):
                ask(queue=self.queue, now=timezone.now())

    @rule()
    def give_up_what_is_lost(self) -> None:
        if self.model.status == "processing" and self.model.token and self.model.render is None:
            self.model.lose(retryable=True)
        services.handle_due(queue=self.queue, now=timezone.now() + timedelta(seconds=200))

    @invariant()
    def it_is_as_it_is_to_be(self) -> None:
        if not hasattr(self, "model"):
            return
        row = ExportRequest.objects.get()
        assert row.status == self.model.status
        assert row.attempt == self.model.attempt
        assert row.version == self.model.version == len(row.timeline)
        if row.status == "processing":
            assert (row.start_token, row.render_id) == (self.model.token, self.model.render)
        assert row.progress == pytest.approx(self.model.progress)
        assert (row.slot is None) == (row.status in ENDED)
        assert Counter(Delivery.objects.values_list("key", flat=True)) == {
            f"export:{self.id}:{attempt}": 1 for attempt in self.model.ends
        }
        assert set(self.model.ends.values()) <= {1}
        costs = {render: float(cost) for render, cost in Render.objects.values_list("render_id", "cost_usd")}
        assert costs == pytest.approx(self.model.costs)
        assert float(row.render_cost_usd) == pytest.approx(sum(costs.values()))


def test_webhooks_in_any_order_do_what_the_model_says(addressed, sent, outputs):
    run_state_machine_as_test(
        Webhooks,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

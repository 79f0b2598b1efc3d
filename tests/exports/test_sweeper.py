import asyncio
import json
import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone

from exports import sweeper
from exports.models import ExportRequest, Project
from renderhub.models import RevokedToken
from tests.conftest import NOW


@pytest.fixture(autouse=True)
def no_closing(monkeypatch):
    # The test's own connection stays open.
    monkeypatch.setattr(sweeper, "close_old_connections", lambda: None)


@pytest.fixture
def queue_of_sweeper(monkeypatch, sent):
    monkeypatch.setattr(sweeper, "get_queue", lambda: sent)
    return sent


def test_a_sweep_sends_what_is_due(export, queue_of_sweeper):
    ExportRequest.objects.update(due_at=export.created_at)
    sweeper.sweep()
    assert len(queue_of_sweeper.messages) == 2


def test_a_job_that_fails_does_not_end_the_sweep(monkeypatch):
    def broken(**arguments):
        raise RuntimeError("broken")

    monkeypatch.setattr("exports.services.handle_due", broken)
    sweeper.sweep()


def test_refresh_tokens_that_have_expired_are_forgotten(db, queue_of_sweeper):
    RevokedToken.objects.create(jti="old", expires_at=NOW)
    RevokedToken.objects.create(jti="new", expires_at=timezone.now() + timedelta(days=1))
    sweeper.sweep()
    assert [token.jti for token in RevokedToken.objects.all()] == ["new"]


async def test_the_loop_runs_until_it_is_told_to_stop(monkeypatch):
    stop, swept = asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def sweep(turn):
        swept.append(turn)
        if len(swept) == 2:
            loop.call_soon_threadsafe(stop.set)

    monkeypatch.setattr(sweeper, "sweep", sweep)
    monkeypatch.setattr(sweeper, "deliver", lambda: False)
    monkeypatch.setattr(sweeper, "INTERVAL_S", 0.01)
    await asyncio.wait_for(sweeper.run(stop), 10)
    assert swept == [0, 1]


async def test_a_mail_server_that_hangs_stops_no_sweep(monkeypatch):
    stop, hanging = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    swept = []

    def sweep(turn):
        swept.append(turn)
        if len(swept) == 3:
            loop.call_soon_threadsafe(stop.set)
            answered.set()

    def deliver():
        hanging.set()
        return not answered.wait(10)

    answered = threading.Event()
    monkeypatch.setattr(sweeper, "sweep", sweep)
    monkeypatch.setattr(sweeper, "deliver", deliver)
    monkeypatch.setattr(sweeper, "INTERVAL_S", 0.01)
    await asyncio.wait_for(sweeper.run(stop), 10)
    assert swept == [0, 1, 2]


def test_deliveries_are_sent_one_by_one_and_a_failure_is_not_the_end(monkeypatch):
    outcomes = iter([1, 0, RuntimeError("the database is gone")])

    def send_due(*, now, limit):
        assert limit == 1
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr("notifications.services.send_due", send_due)
    assert [sweeper.deliver() for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize("redis_url", ["", "redis://localhost"])
async def test_the_sweeper_runs_inside_the_web_process_unless_there_is_redis(
    monkeypatch, settings, redis_url
):
    from renderhub import asgi

    sweeps = asyncio.Event()

    async def run(stop):
        sweeps.set()
        await stop.wait()

    monkeypatch.setattr(sweeper, "run", run)
    settings.REDIS_URL = redis_url
    sent: list[str] = []
    events: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    started = asyncio.Event()

    async def send(event):
        sent.append(event["type"])
        started.set()

    task = asyncio.create_task(asgi.application({"type": "lifespan"}, events.get, send))
    events.put_nowait({"type": "lifespan.startup"})
    await started.wait()
    if not redis_url:
        await sweeps.wait()
    events.put_nowait({"type": "lifespan.shutdown"})
    await asyncio.wait_for(task, 10)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert sweeps.is_set() is (redis_url == "")


def test_the_demo_is_made_once(db, capsys):
    call_command("create_demo")
    call_command("create_demo")
    made = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (User.objects.count(), Project.objects.count()) == (1, 1)
    assert str(Project.objects.get().pk) == made["projectId"]

"""The claim and what becomes of it: one paid render for one attempt, whoever asks, and whoever dies."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from exports import services
from exports.models import ExportRequest, Render
from exports.services import handle_due
from exports.states import Status
from lambda_worker.contract import (
    RenderStarted,
    RenderThrottled,
    RenderTimeout,
    StartMessage,
    output_key,
)
from notifications.models import Delivery
from tests.exports.test_journey import claim, failed, started, success


def row():
    return ExportRequest.objects.get()


def later(seconds):
    return timezone.now() + timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def cancelled(monkeypatch):
    """The renders that Remotion was told to stop."""
    stopped: list[str] = []

    def cancel(*, bucket_name: str, render_id: str, now: datetime) -> bool:
        stopped.append(render_id)
        return True

    monkeypatch.setattr("exports.renders.cancel", cancel)
    return stopped


# --- render, or skip ----------------------------------------------------------------------------------------


def pending(export, report, sent):
    pass


def claimed(export, report, sent):
    report(claim(export))


def rendering(export, report, sent):
    claimed(export, report, sent)
    report(started(export))


def put_off(export, report, sent):
    claimed(export, report, sent)
    report(RenderThrottled(export_id=str(export.pk), attempt=1, token="t1"))


def completed(export, report, sent):
    rendering(export, report, sent)
    report(success(export))


def failed_for_good(export, report, sent):
    rendering(export, report, sent)
    report(failed(export, "The chart has no data"))


def cancelled_by_its_owner(export, report, sent):
    services.cancel_export(export_id=export.pk, by=export.user, queue=sent, now=timezone.now())


def at_its_second_attempt(export, report, sent):
    rendering(export, report, sent)
    report(failed(export, "Target closed"))


def retried_by_its_owner(export, report, sent):
    failed_for_good(export, report, sent)
    services.retry_export(export_id=export.pk, by=export.user, queue=sent, now=timezone.now())


# Who asks, and by which message: the one that first had it (t1) or another (t2), with the message as it was
# first sent (first) or as it is sent now (now).
ANSWERS = {
    pending: {"t1 now": "render", "t2 now": "render"},
    claimed: {"t1 first": "render", "t1 now": "render", "t2 first": "skip", "t2 now": "skip"},
    rendering: {"t1 first": "skip", "t1 now": "skip", "t2 first": "skip", "t2 now": "skip"},
    put_off: {"t1 first": "skip", "t1 now": "render", "t2 first": "skip", "t2 now": "render"},
    completed: {"t1 first": "skip", "t1 now": "skip", "t2 first": "skip", "t2 now": "skip"},
    failed_for_good: {"t1 first": "skip", "t1 now": "skip", "t2 first": "skip", "t2 now": "skip"},
    cancelled_by_its_owner: {"t1 first": "skip", "t1 now": "skip", "t2 first": "skip", "t2 now": "skip"},
    at_its_second_attempt: {"t1 first": "skip", "t1 now": "render", "t2 first": "skip", "t2 now": "render"},
    retried_by_its_owner: {"t1 first": "skip", "t1 now": "render", "t2 first": "skip", "t2 now": "render"},
}


@pytest.mark.parametrize(
    ("situation", "asker", "answer"),
    [(situation, asker, answer) for situation, table in ANSWERS.items() for asker, answer in table.items()],
)
def test_the_claim_is_answered_by_the_table(export, report, sent, situation, asker, answer):
    situation(export, report, sent)
    before = row()
    token, message = asker.split()
    attempt, version = (1, 1) if message == "first" else (before.attempt, before.version)
    question = RenderStarted(export_id=str(export.pk), attempt=attempt, token=token, version=version)
    assert report(question).json() == {"action": answer}
    if answer == "skip":
        assert row().version == before.version
    else:
        assert (row().status, row().start_token) == ("processing", token)
        # However often it asks, it hears the same, and nobody else does.
        assert report(question).json() == {"action": "render"}
        rival = RenderStarted(export_id=str(export.pk), attempt=attempt, token="t3", version=row().version)
        assert report(rival).json() == {"action": "skip"}


# --- keep, or cancel ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("situation", "token", "render_id", "answer"),
    [
        (claimed, "t1", "r1", "keep"),
        (claimed, "t2", "r1", "cancel"),
        (pending, "t1", "r1", "cancel"),
        (put_off, "t1", "r1", "cancel"),
        (rendering, "t1", "r1", "keep"),
        (rendering, "t1", "r2", "cancel"),
        (completed, "t1", "r1", "keep"),
        (completed, "t1", "r2", "cancel"),
        (cancelled_by_its_owner, "t1", "r1", "cancel"),
        (at_its_second_attempt, "t1", "r1", "cancel"),
        (retried_by_its_owner, "t1", "r1", "cancel"),
    ],
)
def test_a_render_is_kept_or_cancelled_by_the_table(
    export, report, sent, situation, token, render_id, answer
):
    situation(export, report, sent)
    version = row().version
    assert report(started(export, render_id=render_id, token=token)).json() == {"action": answer}
    assert row().version == version + (situation is claimed and answer == "keep")
    # What it costs is known in any case.
    assert Render.objects.filter(render_id=render_id, attempt=1).count() == 1


def test_a_still_that_is_finished_before_its_report_is_kept(export, report):
    report(claim(export))
    report(success(export))
    assert row().status == Status.COMPLETED
    assert report(started(export)).json() == {"action": "keep"}


def test_a_render_of_a_deleted_export_is_answered_with_404(export, report):
    export_id = export.pk
    ExportRequest.objects.all().delete()
    export.pk = export_id
    assert report(claim(export)).status_code == 404
    assert report(started(export)).status_code == 404


# --- The worker that died -----------------------------------------------------------------------------------


def test_a_claim_is_left_alone_for_as_long_as_a_worker_can_live(export, report, sent):
    report(claim(export))
    before = row()
    assert handle_due(queue=sent, now=later(179)) == 0
    assert (row().version, row().start_token) == (before.version, "t1")


def test_each_token_has_its_whole_time(export, report, sent):
    put_off(export, report, sent)
    report(claim(export, token="t2", version=row().version))
    assert row().due_at >= later(179)


def test_a_dead_starter_costs_an_attempt_and_keeps_its_slot(export, report, sent):
    report(claim(export))
    slots = (row().slot, row().user_slot)
    now = later(181)
    assert handle_due(queue=sent, now=now) == 1
    seen = row()
    assert (seen.status, seen.attempt, seen.start_token, seen.render_id) == ("pending", 2, None, None)
    assert (seen.slot, seen.user_slot) == slots
    assert now < seen.due_at <= now + timedelta(seconds=10)
    assert not Delivery.objects.exists()
    sent.messages.clear()
    handle_due(queue=sent, now=seen.due_at)
    [message] = sent.messages
    assert isinstance(message, StartMessage)
    assert (message.attempt, message.version) == (2, seen.version)


def test_a_dead_starters_file_completes_its_export(export, report, sent, outputs):
    report(claim(export))
    outputs[output_key(export_id=str(export.pk), attempt=1, codec="h264")] = 42
    handle_due(queue=sent, now=later(181))
    assert (row().status, row().output_size_bytes, row().attempt) == ("completed", 42, 1)
    assert row().slot is None


def test_a_file_of_an_older_attempt_completes_nothing(export, report, sent, outputs):
    at_its_second_attempt(export, report, sent)
    report(claim(export, "t2", version=row().version, attempt=2))
    outputs[output_key(export_id=str(export.pk), attempt=1, codec="h264")] = 42
    handle_due(queue=sent, now=later(181))
    assert (row().status, row().attempt) == ("pending", 3)


def test_the_last_lost_attempt_fails_the_export_and_gives_its_slot_on(
    export, project, report, sent, settings
):
    settings.RENDER_MAX_CONCURRENCY = 1
    project.user.email = "ada@example.com"
    project.user.save()
    waiting = services.create_export(
        project=project,
        composition_id="M",
        serve_url=export.serve_url,
        codec="h264",
        input_props={},
        queue=sent,
        now=timezone.now(),
    )
    now = timezone.now()
    for attempt in (1, 2, 3):
        export.refresh_from_db()
        assert (export.attempt, export.slot is None) == (attempt, False)
        question = RenderStarted(
            export_id=str(export.pk), attempt=attempt, token=f"t{attempt}", version=export.version
        )
        assert services.claim_render(report=question, now=now) == "render"
        now += timedelta(seconds=181)
        handle_due(queue=sent, now=now)
    export.refresh_from_db()
    waiting.refresh_from_db()
    assert (export.status, export.error_code, export.retryable) == ("failed", "render_lost", True)
    assert (export.slot, waiting.slot) == (None, 1)
    assert [delivery.key for delivery in Delivery.objects.all()] == [f"export:{export.pk}:3"]


# --- Further attempts ---------------------------------------------------------------------------------------


def test_waits_before_further_attempts_grow_and_are_bounded(export, report, sent, settings):
    settings.RENDER_MAX_ATTEMPTS = 9
    waits = []
    for attempt in range(1, 9):
        seen = row()
        report(claim(seen, f"t{attempt}", attempt=attempt))
        report(failed(seen, "Target closed", f"r{attempt}", attempt))
        assert (row().attempt, row().slot) == (attempt + 1, export.slot)
        waits.append((row().due_at - row().updated_at).total_seconds())
    for wait, expected in zip(waits, (5, 10, 20, 40, 60, 60, 60, 60), strict=True):
        assert 0.75 * expected <= wait <= 1.25 * expected


def test_waits_before_a_start_that_is_put_off_grow_and_are_bounded(export, sent):
    now = timezone.now()
    waits = []
    for turn in range(12):
        seen = row()
        question = RenderStarted(export_id=str(seen.pk), attempt=1, token=f"t{turn}", version=seen.version)
        assert services.claim_render(report=question, now=now) == "render"
        services.put_off_start(
            report=RenderThrottled(export_id=str(seen.pk), attempt=1, token=f"t{turn}"), now=now
        )
        waits.append((row().due_at - now).total_seconds())
        now = row().due_at
    assert 3.75 <= waits[0] <= 6.25
    assert waits[4] > 3 * waits[0]
    assert all(45 <= wait <= 75 for wait in waits[-3:])
    assert row().started_at is not None


def test_a_person_who_retries_gets_all_attempts_anew(export, report, sent):
    for attempt in (1, 2, 3):
        report(claim(row(), f"t{attempt}", attempt=attempt))
        report(failed(export, "Target closed", f"r{attempt}", attempt))
    assert row().status == Status.FAILED
    services.retry_export(export_id=export.pk, by=export.user, queue=sent, now=timezone.now())
    report(claim(row(), "t4", attempt=4))
    report(failed(export, "Target closed", "r4", 4))
    assert (row().status, row().attempt) == ("pending", 5)


def test_a_further_attempt_begins_at_no_progress_and_an_older_one_raises_it_no_more(export, report, sent):
    at_its_second_attempt(export, report, sent)
    report(success(export))
    report(started(export))
    assert (row().status, row().attempt, row().progress) == ("pending", 2, 0.0)


# --- Time-outs ----------------------------------------------------------------------------------------------


def timed_out(export, render_id="r1", attempt=1):
    return RenderTimeout(export_id=str(export.pk), attempt=attempt, render_id=render_id, bucket_name="b")


def test_a_late_time_out_changes_nothing(export, report, sent):
    completed(export, report, sent)
    version = row().version
    report(timed_out(export))
    assert (row().status, row().version) == ("completed", version)


def test_a_time_out_of_an_older_attempt_or_another_render_changes_nothing(export, report, sent):
    at_its_second_attempt(export, report, sent)
    report(claim(row(), "t2", attempt=2))
    report(started(export, "r2", "t2", 2))
    version = row().version
    report(timed_out(export))
    report(timed_out(export, "r3", 2))
    assert (row().status, row().version) == ("processing", version)


def test_a_render_past_its_time_is_told_to_stop(export, report, sent, outputs, cancelled):
    rendering(export, report, sent)
    handle_due(queue=sent, now=later(901))
    assert (row().error_code, cancelled) == ("timeout", ["r1"])
    report(success(export))
    assert row().status == Status.FAILED

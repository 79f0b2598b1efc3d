from datetime import timedelta

import pytest
from botocore.exceptions import EndpointConnectionError
from django.utils import timezone

from exports.models import ExportRequest
from exports.services import delete_expired_outputs, handle_due
from exports.services.moves import move
from exports.states import Event, Status, may_move
from exports.sweeper import sweep
from lambda_worker.contract import PollMessage, RenderThrottled, StartMessage, output_key
from tests.exports.test_journey import claim, started, success


def later(seconds):
    return timezone.now() + timedelta(seconds=seconds)


def test_a_start_that_nobody_claimed_is_sent_again(export, sent):
    assert handle_due(queue=sent, now=later(59)) == 0
    assert handle_due(queue=sent, now=later(61)) == 1
    assert [type(message) for message in sent.messages] == [StartMessage, StartMessage]
    assert handle_due(queue=sent, now=later(61)) == 0


def test_a_running_render_is_looked_at_when_due(export, report, sent):
    report(claim(export))
    report(started(export))
    assert handle_due(queue=sent, now=later(6)) == 1
    poll = sent.messages[-1]
    assert isinstance(poll, PollMessage)
    assert poll.render_id == "r1"


def test_a_worker_that_died_costs_an_attempt(export, report, sent):
    report(claim(export))
    handle_due(queue=sent, now=later(181))
    row = ExportRequest.objects.get()
    assert (row.status, row.attempt, row.start_token) == ("pending", 2, None)


@pytest.mark.parametrize("render_known", [True, False])
def test_a_file_whose_reports_were_lost_completes_its_export(export, report, sent, outputs, render_known):
    report(claim(export))
    if render_known:
        report(started(export))
    outputs[output_key(export_id=str(export.pk), attempt=1, codec="h264")] = 99
    handle_due(queue=sent, now=later(901))
    row = ExportRequest.objects.get()
    assert (row.status, row.output_size_bytes) == ("completed", 99)


def test_a_render_past_its_time_limit_fails(export, report, sent, outputs):
    report(claim(export))
    report(started(export))
    handle_due(queue=sent, now=later(901))
    row = ExportRequest.objects.get()
    assert (row.status, row.error_code, row.due_at) == ("failed", "timeout", None)


def test_an_export_that_remotion_never_had_room_for_fails_as_throttled(export, report, sent, outputs):
    report(claim(export))
    report(RenderThrottled(export_id=str(export.pk), attempt=1, token="t1"))
    handle_due(queue=sent, now=later(901))
    row = ExportRequest.objects.get()
    assert (row.status, row.error_code, row.retryable) == ("failed", "throttled", True)


@pytest.mark.parametrize("source", Status)
@pytest.mark.parametrize("target", Status)
def test_a_move_wins_once_where_the_table_has_it_and_never_elsewhere(export, source, target):
    ExportRequest.objects.update(status=source)
    seen, rival = ExportRequest.objects.get(), ExportRequest.objects.get()
    if not may_move(source, target):
        with pytest.raises(ValueError, match="can't move"):
            move(seen, target, Event.CLAIMED, now=timezone.now())
        assert ExportRequest.objects.get().version == 1
        return
    assert move(seen, target, Event.CLAIMED, now=timezone.now())
    assert not move(rival, target, Event.CLAIMED, now=timezone.now())
    row = ExportRequest.objects.get()
    assert (row.status, row.version, len(row.timeline)) == (target, 2, 2)


@pytest.fixture
def deleted(monkeypatch):
    """What was deleted from the bucket."""
    keys: list[str] = []
    monkeypatch.setattr(
        "exports.services.repairs.delete_output", lambda *, bucket_name, key: keys.append(key)
    )
    return keys


@pytest.fixture
def completed(export, report, outputs):
    report(claim(export))
    report(started(export))
    report(success(export))
    return ExportRequest.objects.get()


def test_a_file_is_deleted_after_its_time_and_the_export_stays(completed, deleted, settings, api):
    settings.OUTPUT_RETENTION_DAYS = 7
    week = timedelta(days=7)
    assert delete_expired_outputs(now=completed.completed_at + week) == 0
    late = completed.completed_at + week + timedelta(seconds=1)
    assert [delete_expired_outputs(now=late) for _ in range(2)] == [1, 0]
    assert deleted == [completed.output_key]
    shown = api.get(f"/api/exports/{completed.pk}/status").json()
    assert (shown["status"], shown["outputUrl"], shown["version"]) == ("completed", None, completed.version)


def test_a_file_that_cant_be_deleted_is_tried_again(completed, deleted, settings, monkeypatch):
    def refuse(*, bucket_name: str, key: str) -> None:
        raise EndpointConnectionError(endpoint_url="http://s3")

    settings.OUTPUT_RETENTION_DAYS = 7
    late = completed.completed_at + timedelta(days=8)
    with monkeypatch.context() as patch:
        patch.setattr("exports.services.repairs.delete_output", refuse)
        assert delete_expired_outputs(now=late) == 0
    assert delete_expired_outputs(now=late) == 1


def test_a_sweep_keeps_files_for_ever_unless_told_otherwise(completed, deleted, settings, monkeypatch):
    monkeypatch.setattr("exports.sweeper.close_old_connections", lambda: None)
    ExportRequest.objects.update(output_at=completed.completed_at - timedelta(days=4000))
    sweep()
    assert deleted == []
    settings.OUTPUT_RETENTION_DAYS = 1
    sweep()
    assert deleted == [completed.output_key]

"""The life of a still: its worker reports the end itself, and it can't be stopped once it has begun."""

from datetime import timedelta

import pytest
from django.utils import timezone

from exports import services
from exports.models import ExportRequest, Render
from lambda_worker.contract import (
    Action,
    RenderCosts,
    RenderError,
    RenderFailure,
    RenderProgress,
    RenderStarted,
    RenderSuccess,
)

TOKEN = "t1"


@pytest.fixture
def still(api, project, sent, outputs) -> ExportRequest:
    """A still that a worker is making."""
    body = {"codec": "png", "frame": 3}
    answer = api.post(f"/api/exports/projects/{project.pk}/export", body, format="json")
    assert answer.status_code == 202, answer.content
    return ExportRequest.objects.get(pk=answer.json()["exportId"])


@pytest.fixture
def claimed(still, report) -> ExportRequest:
    claim = RenderStarted(
        export_id=str(still.pk), attempt=1, token=TOKEN, version=ExportRequest.objects.get().version
    )
    assert report(claim).json() == {"action": Action.RENDER}
    return ExportRequest.objects.get()


def success(still: ExportRequest) -> RenderSuccess:
    return RenderSuccess(
        export_id=str(still.pk),
        attempt=1,
        render_id="s1",
        bucket_name="b",
        output_key=f"renders/export-{still.pk}.png",
        output_size_bytes=4_321,
        costs=RenderCosts(amount_usd=0.00004),
    )


def failure(still: ExportRequest, message: str, code: str | None = None) -> RenderError:
    errors = (RenderFailure(message=message),)
    return RenderError(export_id=str(still.pk), attempt=1, token=TOKEN, errors=errors, code=code)


def status_of(api, still):
    return api.get(f"/api/exports/{still.pk}/status").json()


def event_types(api, still):
    return [event["type"] for event in api.get(f"/api/exports/{still.pk}/events").json()["events"]]


def test_the_workers_report_completes_a_still_with_its_file_and_what_it_cost(api, claimed, report):
    assert report(success(claimed)).json() == {}
    status = status_of(api, claimed)
    assert (status["status"], status["progress"], status["renderId"]) == ("completed", 1.0, "s1")
    assert (status["frame"], status["outputSizeBytes"]) == (3, 4_321)
    assert status["cost"]["parts"]["remotion"] == "0.00004"
    assert f"/renders/export-{claimed.pk}.png?" in status["outputUrl"]
    assert event_types(api, claimed) == ["created", "claimed", "completed"]


def test_an_end_that_is_reported_twice_ends_it_once(api, claimed, report):
    report(success(claimed))
    version = status_of(api, claimed)["version"]
    report(success(claimed))
    assert status_of(api, claimed)["version"] == version
    assert Render.objects.count() == 1


@pytest.mark.parametrize(
    ("message", "status", "code"),
    [
        ("The chart has no data to draw", "failed", "composition_failed"),
        ("Could not find composition with ID X", "failed", "composition_not_found"),
        ("Cannot use frame 900: Duration of composition is 600", "failed", "composition_failed"),
        ("A delayRender() was called but not cleared after 28000ms", "pending", ""),
        ("Target closed", "pending", ""),
    ],
)
def test_a_stills_own_error_is_judged_as_that_of_a_video_is(api, claimed, report, message, status, code):
    report(failure(claimed, message))
    row = ExportRequest.objects.get()
    assert (row.status, row.error_code) == (status, code)
    assert row.attempt == (1 if status == "failed" else 2)


def test_a_still_that_lambda_refused_to_make_says_why(api, claimed, report):
    report(failure(claimed, "Function not found", code="function_missing"))
    assert ExportRequest.objects.get().error_code == "function_missing"


def test_a_still_that_is_being_made_cannot_be_stopped_and_that_is_said(api, claimed, report):
    answer = api.post(f"/api/exports/{claimed.pk}/cancel").json()
    assert (answer["status"], answer["render"]) == ("cancelled", "unreachable")
    report(success(claimed))
    status = status_of(api, claimed)
    assert (status["status"], status["outputUrl"]) == ("cancelled", None)
    assert float(status["cost"]["amount"]) > 0


def test_a_still_that_no_worker_has_begun_is_simply_not_made(api, still):
    answer = api.post(f"/api/exports/{still.pk}/cancel").json()
    assert (answer["status"], answer["render"]) == ("cancelled", "not_started")


def test_a_still_whose_report_was_lost_is_found_by_its_file(api, claimed, outputs, sent):
    outputs[f"renders/export-{claimed.pk}.png"] = 99
    services.handle_due(queue=sent, now=timezone.now() + timedelta(seconds=181))
    status = status_of(api, claimed)
    assert (status["status"], status["outputSizeBytes"]) == ("completed", 99)


def test_a_late_first_report_of_another_render_changes_nothing(api, claimed, report):
    report(success(claimed))
    late = RenderProgress(export_id=str(claimed.pk), attempt=1, render_id="s2", bucket_name="b", token=TOKEN)
    assert report(late).json() == {"action": Action.CANCEL}
    assert status_of(api, claimed)["renderId"] == "s1"

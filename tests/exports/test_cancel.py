"""Cancelling, priorities and the place in the line, over HTTP."""

import json

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import ANY, Stubber
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from exports import services
from exports.models import ExportRequest, Project
from renderhub import aws
from tests.exports.test_journey import claim, started, status, success


@pytest.fixture(autouse=True)
def s3():
    """Remotion's bucket, which takes only what a test says beforehand."""
    with Stubber(aws.s3()) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def ask(api, project, sent):
    """Asks for an export and returns the answer."""

    def ask(**body):
        answer = api.post(f"/api/exports/projects/{project.pk}/export", body, format="json")
        assert answer.status_code == 202, answer.content
        return answer.json()

    return ask


def cancel(api, export_id):
    return api.post(f"/api/exports/{export_id}/cancel")


def row(export_id):
    return ExportRequest.objects.get(pk=export_id)


def test_an_export_that_waits_is_cancelled_and_leaves_the_line(one_slot, api, ask, export):
    first, second = ask()["exportId"], ask()["exportId"]
    answer = cancel(api, first)
    assert answer.status_code == 200
    assert answer.json() == {
        "exportId": first,
        "status": "cancelled",
        "attempt": 1,
        "render": "not_started",
        "detail": "No render had been started.",
    }
    assert (row(first).rank, row(first).slot) == (None, None)
    assert row(second).rank is not None
    assert api.get(f"/api/exports/{second}/status").json()["queuePosition"] == 1


def test_a_cancelled_export_that_was_sent_is_never_started(api, export, report):
    assert cancel(api, export.pk).json()["render"] == "not_started"
    seen = row(export.pk)
    assert (seen.slot, seen.user_slot, seen.due_at) == (None, None, None)
    assert report(claim(export)).json() == {"action": "skip"}


def test_a_render_that_is_just_being_started_is_cancelled_once_it_is_known(api, export, report):
    report(claim(export))
    assert cancel(api, export.pk).json()["render"] == "starting"
    assert report(started(export)).json() == {"action": "cancel"}
    assert row(export.pk).status == "cancelled"


def test_a_running_render_is_told_to_stop(api, export, report, s3):
    report(claim(export))
    report(started(export))
    body = {}

    def keep(params, **more):
        body.update(json.loads(params["Body"]))

    aws.s3().meta.events.register_first("provide-client-params.s3.PutObject", keep)
    s3.add_response(
        "put_object",
        {},
        {
            "Bucket": "b",
            "Key": "renders/r1/cancel.json",
            "Body": ANY,
            "ContentType": "application/json",
        },
    )
    answer = cancel(api, export.pk).json()
    aws.s3().meta.events.unregister("provide-client-params.s3.PutObject", keep)
    assert (answer["render"], answer["status"]) == ("asked", "cancelled")
    assert abs(body["cancelledAt"] / 1000 - timezone.now().timestamp()) < 60
    report(success(export))
    assert status(api, export)["status"] == "cancelled"


@pytest.mark.parametrize(
    "fail",
    [
        lambda s3, monkeypatch: s3.add_client_error("put_object", "AccessDenied", http_status_code=403),
        lambda s3, monkeypatch: monkeypatch.setattr(aws, "s3", _unreachable),
    ],
)
def test_a_render_that_can_not_be_told_to_stop_is_said_to_go_on(api, export, report, s3, monkeypatch, fail):
    report(claim(export))
    report(started(export))
    fail(s3, monkeypatch)
    answer = cancel(api, export.pk)
    assert (answer.status_code, answer.json()["render"]) == (200, "unreachable")
    assert "goes on to its end" in answer.json()["detail"]
    assert status(api, export)["status"] == "cancelled"


def _unreachable():
    raise EndpointConnectionError(endpoint_url="http://localhost")


@pytest.mark.parametrize("ended", ["completed", "failed", "cancelled"])
def test_an_export_that_has_ended_can_not_be_cancelled(api, export, ended):
    ExportRequest.objects.update(status=ended)
    answer = cancel(api, export.pk)
    assert (answer.status_code, answer.json()["exportStatus"]) == (409, ended)
    assert answer["Content-Type"] == "application/problem+json"
    assert row(export.pk).version == export.version


def test_nobody_cancels_what_belongs_to_someone_else(export):
    other = APIClient()
    other.force_authenticate(User.objects.create_user("eve"))
    assert cancel(other, export.pk).status_code == 404
    assert cancel(other, "01a20d50-d333-721e-9470-803a8d1ca703").status_code == 404
    assert cancel(APIClient(), export.pk).status_code == 401
    assert row(export.pk).status == "pending"


def test_a_cancelled_export_can_be_asked_for_again(api, export, sent):
    cancel(api, export.pk)
    answer = api.post(f"/api/exports/{export.pk}/retry")
    assert (answer.status_code, answer.json()["attempt"]) == (202, 2)
    assert (sent.messages[-1].export_id, sent.messages[-1].attempt) == (str(export.pk), 2)


def test_the_timeline_says_who_cancelled(api, export):
    cancel(api, export.pk)
    last = api.get(f"/api/exports/{export.pk}/events").json()["events"][-1]
    assert (last["type"], last["status"], last["detail"]) == ("cancelled", "cancelled", "by its owner")


def test_a_higher_priority_goes_first_among_ones_own(one_slot, api, ask, export):
    low, normal, high = (ask(priority=name)["exportId"] for name in ("low", "normal", "high"))
    places = {
        name: api.get(f"/api/exports/{each}/status").json()["queuePosition"]
        for name, each in (("low", low), ("normal", normal), ("high", high))
    }
    assert places == {"high": 1, "normal": 2, "low": 3}


@pytest.mark.parametrize("priority", ["urgent", 1, None, ""])
def test_an_unknown_priority_is_refused(api, project, sent, priority):
    answer = api.post(f"/api/exports/projects/{project.pk}/export", {"priority": priority}, format="json")
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/priority"]
    assert not ExportRequest.objects.exists()


def test_an_export_that_renders_at_once_has_no_place_in_the_line(api, ask):
    answer = ask()
    assert answer["queuePosition"] is None
    assert answer["queueMessageId"] is not None


def test_the_place_is_in_the_answer_and_in_the_status_and_counts_the_other_users(
    one_slot, api, ask, export, sent
):
    first, second = ask(), ask()
    assert (first["queuePosition"], first["queueMessageId"]) == (1, None)
    assert second["queuePosition"] == 2
    theirs = Project.objects.create(user=User.objects.create_user("eve"), title="T", composition_id="M")
    services.create_export(
        project=theirs,
        composition_id="M",
        serve_url="https://example.com",
        codec="h264",
        input_props={},
        queue=sent,
        now=timezone.now(),
    )
    assert status(api, row(second["exportId"]))["queuePosition"] == 4


def test_a_freed_slot_moves_everybody_up(one_slot, api, ask, export, sent):
    first, second = ask()["exportId"], ask()["exportId"]
    cancel(api, export.pk)
    assert sent.messages[-1].export_id == first
    assert api.get(f"/api/exports/{first}/status").json()["queuePosition"] is None
    assert api.get(f"/api/exports/{second}/status").json()["queuePosition"] == 1


def test_while_renders_are_paused_an_export_is_taken_and_waits(api, ask, sent):
    services.pause_renders(by="ada", reason="", now=timezone.now())
    answer = ask()
    assert (answer["queuePosition"], answer["queueMessageId"]) == (1, None)
    assert sent.messages == []
    assert services.resume_renders(by="ada", queue=sent, now=timezone.now()) == 1
    assert sent.messages[-1].export_id == answer["exportId"]

import pytest

from exports.models import ExportRequest, Render
from lambda_worker import signing
from lambda_worker.contract import (
    RenderCosts,
    RenderError,
    RenderFailure,
    RenderProgress,
    RenderStarted,
    RenderSuccess,
    RenderThrottled,
    RenderTimeout,
    StartMessage,
    output_key,
)
from tests.conftest import post_webhook, remotion_body


def status(api, export):
    return api.get(f"/api/exports/{export.pk}/status").json()


def claim(export, token="t1", version=None, attempt=1):
    return RenderStarted(
        export_id=str(export.pk), attempt=attempt, token=token, version=version or export.version
    )


def started(export, render_id="r1", token="t1", attempt=1):
    return RenderProgress(
        export_id=str(export.pk), attempt=attempt, render_id=render_id, bucket_name="b", token=token
    )


def progress(export, value, render_id="r1", cost=0.0):
    return RenderProgress(
        export_id=str(export.pk),
        attempt=1,
        render_id=render_id,
        bucket_name="b",
        progress=value,
        costs=RenderCosts(amount_usd=cost),
    )


def success(export, render_id="r1", attempt=1):
    return RenderSuccess(
        export_id=str(export.pk),
        attempt=attempt,
        render_id=render_id,
        bucket_name="b",
        output_size_bytes=7,
        costs=RenderCosts(amount_usd=0.02),
    )


def failed(export, message, render_id="r1", attempt=1):
    return RenderError(
        export_id=str(export.pk),
        attempt=attempt,
        errors=(RenderFailure(message=message, stack="at x"),),
        render_id=render_id,
        bucket_name="b",
    )


@pytest.fixture
def running(export, report):
    assert report(claim(export)).json() == {"action": "render"}
    assert report(started(export)).json() == {"action": "keep"}
    return export


def test_an_export_goes_from_request_to_file(api, export, report, sent):
    [message] = sent.messages
    assert isinstance(message, StartMessage)
    assert message.render_config.input_props == {"title": "Hello"}
    assert status(api, export)["status"] == "pending"
    assert report(claim(export, version=message.version)).json() == {"action": "render"}
    assert report(started(export)).json() == {"action": "keep"}
    report(progress(export, 0.42, cost=0.01))
    seen = status(api, export)
    assert (seen["status"], seen["progress"], seen["cost"]["amount"]) == ("processing", 0.42, "0.01")
    assert seen["etaSeconds"] is not None
    report(success(export))
    seen = status(api, export)
    assert (seen["status"], seen["progress"], seen["outputSizeBytes"]) == ("completed", 1.0, 7)
    assert output_key(export_id=str(export.pk), attempt=1, codec="h264") in seen["outputUrl"]
    events = api.get(f"/api/exports/{export.pk}/events").json()["events"]
    assert [event["type"] for event in events] == ["created", "claimed", "started", "completed"]


def test_of_two_claims_one_renders_and_its_repeat_is_told_the_same(export, report):
    assert report(claim(export, "t1")).json() == {"action": "render"}
    assert report(claim(export, "t2")).json() == {"action": "skip"}
    assert report(claim(export, "t1")).json() == {"action": "render"}


def test_a_claim_of_another_attempt_or_version_is_skipped(export, report):
    assert report(claim(export, attempt=2)).json() == {"action": "skip"}
    assert report(claim(export, version=9)).json() == {"action": "skip"}


def test_a_render_that_nobody_wanted_is_cancelled_and_its_cost_kept(running, report):
    assert report(started(running, render_id="r2")).json() == {"action": "cancel"}
    assert report(started(running, render_id="r1")).json() == {"action": "keep"}
    assert Render.objects.filter(render_id="r2").count() == 1


def test_progress_never_falls_and_leaves_the_version(api, running, report):
    version = status(api, running)["version"]
    report(progress(running, 0.5))
    report(progress(running, 0.3))
    report(progress(running, 0.9, render_id="other"))
    assert (status(api, running)["progress"], status(api, running)["version"]) == (0.5, version)


def test_a_throttled_start_is_put_off_and_can_be_claimed_again(export, report):
    report(claim(export))
    report(RenderThrottled(export_id=str(export.pk), attempt=1, token="other"))
    assert ExportRequest.objects.get().start_token == "t1"
    report(RenderThrottled(export_id=str(export.pk), attempt=1, token="t1"))
    row = ExportRequest.objects.get()
    assert (row.start_token, row.status) == (None, "processing")
    assert report(claim(export, "t2", version=row.version)).json() == {"action": "render"}


def test_remotions_own_webhook_ends_an_export_and_a_second_changes_nothing(client, api, running, outputs):
    outputs[output_key(export_id=str(running.pk), attempt=1, codec="h264")] = 321
    body = remotion_body(running)
    signature = signing.sign(body, secret="old-secret", scheme=signing.Scheme.REMOTION)
    assert post_webhook(client, body, signature).status_code == 200
    first = status(api, running)
    assert (first["status"], first["outputSizeBytes"]) == ("completed", 321)
    assert post_webhook(client, body, signature).status_code == 200
    assert status(api, running)["version"] == first["version"]


def test_a_composition_that_throws_fails_the_export_with_its_own_words(api, running, report):
    report(failed(running, "The chart has no data to draw: {unbalanced"))
    seen = status(api, running)
    assert (seen["status"], seen["retryable"]) == ("failed", False)
    assert seen["errorMessage"] == "The chart has no data to draw: {unbalanced"
    assert seen["errors"] == [{"message": seen["errorMessage"], "stack": "at x"}]


def test_a_retryable_error_becomes_a_further_attempt_until_none_is_left(export, report):
    for attempt in (1, 2, 3):
        row = ExportRequest.objects.get()
        assert (row.status, row.attempt) == ("pending", attempt)
        report(claim(row, f"t{attempt}", attempt=attempt))
        report(started(row, f"r{attempt}", f"t{attempt}", attempt))
        report(failed(row, "Page crashed!", f"r{attempt}", attempt))
    row = ExportRequest.objects.get()
    assert (row.status, row.attempt, row.error_code) == ("failed", 3, "browser_crashed")


def test_a_start_that_remotion_refused_fails_the_export(export, report):
    report(claim(export))
    error = RenderFailure(message="Function not found")
    report(RenderError(export_id=str(export.pk), attempt=1, errors=(error,), token="t1"))
    assert ExportRequest.objects.get().error_code == "start_refused"


def test_remotions_time_out_fails_the_export(api, running, report):
    report(RenderTimeout(export_id=str(running.pk), attempt=1, render_id="r1", bucket_name="b"))
    assert status(api, running)["status"] == "failed"
    assert ExportRequest.objects.get().error_code == "timeout"


def test_late_reports_of_an_ended_export_change_nothing(api, running, report):
    report(success(running))
    before = status(api, running)
    report(failed(running, "late"))
    report(progress(running, 0.1))
    report(RenderThrottled(export_id=str(running.pk), attempt=1, token="t1"))
    after = status(api, running)
    assert {k: after[k] for k in ("status", "version")} == {k: before[k] for k in ("status", "version")}


def test_a_failed_export_is_retried_once_and_a_completed_one_never(api, running, report, sent):
    report(failed(running, "boom"))
    answer = api.post(f"/api/exports/{running.pk}/retry")
    assert (answer.status_code, answer.json()["attempt"]) == (202, 2)
    assert sent.messages[-1].attempt == 2
    again = api.post(f"/api/exports/{running.pk}/retry")
    assert (again.status_code, again.json()["exportStatus"]) == (409, "pending")
    assert status(api, running)["errorMessage"] is None

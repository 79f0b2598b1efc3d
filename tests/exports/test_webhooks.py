"""What the webhooks' address refuses, and that nothing of it is stored."""

import json
import time
import uuid

import pytest

from exports.models import ExportRequest, Render
from lambda_worker import signing
from lambda_worker.contract import RenderError, RenderFailure
from lambda_worker.signing import Scheme
from tests.conftest import post_webhook, remotion_body


def started(export, **more):
    return {
        "id": "i",
        "timestamp": time.time(),
        "type": "render_started",
        "exportId": str(export.pk),
        "attempt": 1,
        "token": "t1",
        "version": 1,
        **more,
    }


def body_of(data):
    return json.dumps(data).encode()


def post_signed(client, data, secret="new-secret"):
    body = body_of(data)
    return post_webhook(client, body, signing.sign(body, secret=secret))


def check(answer, status, kind):
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["type"] == f"urn:renderhub:problem:{kind}"


@pytest.fixture
def untouched(export):
    """An export of which nothing may change, since the test's webhook is refused."""
    before = ExportRequest.objects.values().get()
    yield export
    assert ExportRequest.objects.values().get() == before
    assert not Render.objects.exists()


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "",
        "NO_SECRET_PROVIDED",
        "zz",
        "00",
        "sha256=",
        "sha256=00",
        "sha512=00",
        "sha999=00",
        "sha256=" + "0" * 64,
        "sha512=" + "0" * 128,
        "0" * 10_000,
        "é",
    ],
)
def test_a_webhook_without_a_proven_signature_is_refused(client, untouched, signature):
    check(post_webhook(client, body_of(started(untouched)), signature), 401, "signature")


@pytest.mark.parametrize("secret", ["new-secret", "old-secret"])
@pytest.mark.parametrize("form", ["sha256={}", "{}", "SHA256={}"])
def test_each_of_several_secrets_proves_a_worker(client, export, secret, form):
    body = body_of(started(export))
    digest = signing.sign(body, secret=secret).partition("=")[2]
    answer = post_webhook(client, body, form.format(digest))
    if form.startswith("SHA"):
        check(answer, 401, "signature")
    else:
        assert answer.json() == {"action": "render"}


@pytest.mark.parametrize("secret", ["wrong", "new-secret ", "NEW-SECRET"])
@pytest.mark.parametrize("scheme", Scheme)
def test_another_secret_proves_nothing(client, untouched, secret, scheme):
    body = body_of(started(untouched)) if scheme is Scheme.WORKER else remotion_body(untouched)
    check(post_webhook(client, body, signing.sign(body, secret=secret, scheme=scheme)), 401, "signature")


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("place", [0, 20, -1])
def test_an_altered_byte_is_noticed(client, untouched, scheme, place):
    body = body_of(started(untouched)) if scheme is Scheme.WORKER else remotion_body(untouched)
    signature = signing.sign(body, secret="new-secret", scheme=scheme)
    altered = bytearray(body)
    altered[place] ^= 1
    check(post_webhook(client, bytes(altered), signature), 401, "signature")


def test_a_signature_of_the_other_scheme_proves_nothing(client, untouched):
    body = body_of(started(untouched))
    digest = signing.sign(body, secret="new-secret").partition("=")[2]
    check(post_webhook(client, body, f"sha512={digest}"), 401, "signature")


@pytest.mark.parametrize("age_s", [-301, 301, 1e9, -1e18])
def test_a_stale_or_future_webhook_is_refused(client, untouched, age_s):
    check(post_signed(client, started(untouched, timestamp=time.time() - age_s)), 401, "signature")


@pytest.mark.parametrize("age_s", [-290, 290])
def test_a_clock_may_be_five_minutes_off(client, export, age_s):
    answer = post_signed(client, started(export, timestamp=time.time() - age_s))
    assert answer.json() == {"action": "render"}


def post_demo(client, body):
    signature = signing.sign(body, secret="new-secret", scheme=Scheme.REMOTION)
    headers = {"X-Remotion-Signature": signature, "X-Remotion-Mode": "demo"}
    return client.post("/api/exports/webhook", body, content_type="application/json", headers=headers)


def test_a_demo_webhook_is_refused_in_production(client, untouched, settings):
    settings.DEBUG = False
    check(post_demo(client, remotion_body(untouched)), 401, "signature")


def test_a_demo_webhook_is_taken_on_one_machine(client, export, outputs, settings):
    settings.DEBUG = True
    ExportRequest.objects.update(status="processing", start_token="t1")
    assert post_demo(client, remotion_body(export)).status_code == 200
    assert ExportRequest.objects.get().status == "completed"


def test_an_oversized_webhook_is_refused_unread(client, untouched, settings):
    data = started(untouched, filling="x" * settings.MAX_BODY_BYTES)
    check(post_signed(client, data), 413, "body-too-large")


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": "now"},
        {"timestamp": None},
        {"type": 7},
        {"exportId": 7},
        {"attempt": "1"},
        {"attempt": 0},
        {"attempt": 2**31},
        {"version": 2**31},
        {"token": "t" * 101},
        {"token": "a\0b"},
        {"token": None},
    ],
)
def test_a_well_signed_webhook_that_is_none_is_malformed(client, untouched, change):
    check(post_signed(client, started(untouched, **change)), 400, "malformed-webhook")


@pytest.mark.parametrize(
    "data",
    [
        {"type": "render_progress", "renderId": "r", "bucketName": "b", "progress": 1.5},
        {"type": "render_progress", "renderId": "r" * 101, "bucketName": "b"},
        {"type": "render_success", "renderId": "r", "bucketName": "b", "outputSizeBytes": 2**63},
        {"type": "render_success", "renderId": "r", "bucketName": "b", "costs": {"amountUsd": 1e300}},
    ],
)
def test_numbers_and_names_that_no_database_keeps_are_malformed(client, untouched, data):
    check(post_signed(client, started(untouched, **data)), 400, "malformed-webhook")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"id": "i"}'])
@pytest.mark.parametrize("scheme", Scheme)
def test_a_well_signed_body_that_is_no_webhook_is_malformed(client, untouched, body, scheme):
    signature = signing.sign(body, secret="new-secret", scheme=scheme)
    check(post_webhook(client, body, signature), 400, "malformed-webhook")


def test_an_unknown_type_is_taken_and_logged(client, untouched, caplog):
    answer = post_signed(client, started(untouched, type="render_dreamt"))
    assert (answer.status_code, answer.json()) == (200, {})
    assert "webhook.unknown_type" in caplog.text


@pytest.mark.parametrize("export_id", [str(uuid.UUID(int=0)), "x", "", "a\0b"])
def test_an_unknown_export_is_not_found(client, untouched, export_id):
    check(post_signed(client, started(untouched, exportId=export_id)), 404, "unknown-export")


# --- What users read of an error ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "stack", "shown", "kept"),
    [
        ("Error: boom", "Error: boom\n    at f (x.js:1)", "boom", "Error: boom\n    at f (x.js:1)"),
        ("Error: Error: boom\n    at f (x.js:1)", "", "boom", "Error: Error: boom\n    at f (x.js:1)"),
        ("TypeError: no", "at f", "TypeError: no", "at f"),
        ("boom\nmore of it", "at f", "boom", "boom\nmore of it\nat f"),
        ("", "at f", "Remotion gave no reason.", "at f"),
        ("Payload is too big: new-secret", "old-secret", "Payload is too big: [secret]", "[secret]"),
        ("a\0b\ud800", "", "a\ufffdb\ufffd", ""),
        ("x" * 3_000, "y" * 5_000, "x" * 2_000, "y" * 4_000),
    ],
)
def test_an_error_is_shown_in_one_line_without_secrets(
    client, export, api, report, message, stack, shown, kept
):
    ExportRequest.objects.update(status="processing", start_token="t1", render_id="r")
    error = RenderError(
        export_id=str(export.pk),
        attempt=1,
        render_id="r",
        bucket_name="b",
        errors=(RenderFailure(message=message, stack=stack),),
    )
    assert report(error).status_code == 200
    seen = api.get(f"/api/exports/{export.pk}/status").json()
    assert (seen["errorMessage"], seen["errors"]) == (shown, [{"message": shown, "stack": kept}])


def test_a_secret_is_blotted_out_however_it_is_quoted(client, export, api, settings):
    settings.WEBHOOK_SECRETS = ('a"x-y-z\\b',)
    ExportRequest.objects.update(status="processing", start_token="t1")
    quoted = json.dumps({"webhook": {"secret": settings.WEBHOOK_SECRETS[0]}})
    errors = [{"message": f"Error: Payload is too big: {quoted}", "name": "Error", "stack": quoted}]
    body = remotion_body(export, "error", errors=errors)
    signature = signing.sign(body, secret=settings.WEBHOOK_SECRETS[0], scheme=Scheme.REMOTION)
    assert post_webhook(client, body, signature).status_code == 200
    seen = api.get(f"/api/exports/{export.pk}/status").content
    assert b"x-y-z" not in seen
    assert seen.count(b"[secret]") == 3


def test_a_render_that_another_export_has_reported_costs_this_one_nothing(client, api, export):
    about = {"renderId": "r1", "bucketName": "b", "costs": {"amountUsd": 0.5}, "type": "render_timeout"}
    post_signed(client, started(export) | about)
    again = api.post(f"/api/exports/projects/{export.project_id}/export", {}).json()["exportId"]
    answer = post_signed(client, started(ExportRequest(pk=again)) | about)
    assert answer.status_code == 200
    costs = [api.get(f"/api/exports/{pk}/status").json()["cost"]["parts"] for pk in (export.pk, again)]
    assert [float(parts["remotion"]) for parts in costs] == [0.5, 0]

import json
import time

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from exports.failures import classify
from exports.models import Codec, ExportRequest, Project
from exports.serializers import ExportStatusSerializer
from lambda_worker import signing
from lambda_worker.contract import CODEC_EXTENSIONS, RenderFailure
from tests.conftest import post_webhook


def ask(api, project, **body):
    return api.post(f"/api/exports/projects/{project.pk}/export", body, format="json")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"codec": "betamax"}, "/codec"),
        ({"inputProps": {"title": 7}}, "/inputProps/title"),
        ({"inputProps": {"title": "x" * 21}}, "/inputProps/title"),
        ({"inputProps": {"unknown": 1}}, "/inputProps"),
        ({"inputProps": []}, "/inputProps"),
        ({"inputprops": {}}, "/inputprops"),
    ],
)
def test_bad_input_is_named_by_its_pointer_and_records_nothing(api, project, sent, body, pointer):
    answer = ask(api, project, **body)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert not ExportRequest.objects.exists()
    assert sent.messages == []


def test_a_body_that_is_no_json_is_refused(api, project, sent):
    answer = api.post(f"/api/exports/projects/{project.pk}/export", "{", content_type="application/json")
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:renderhub:problem:parse-error")
    assert not ExportRequest.objects.exists()


def test_large_and_deep_props_are_refused(api, project, sent):
    project.props_schema = None
    project.save()
    deep: dict[str, object] = {}
    for _ in range(40):
        deep = {"a": deep}
    assert ask(api, project, inputProps=deep).status_code == 400
    assert ask(api, project, inputProps={"a": "x" * 190_001}).status_code == 400
    assert not ExportRequest.objects.exists()


def test_while_the_queue_is_down_an_export_is_recorded_all_the_same(api, project, sent):
    sent.down = True
    answer = ask(api, project)
    assert (answer.status_code, answer.json()["queueMessageId"]) == (202, None)
    assert ExportRequest.objects.get().due_at is not None


def test_what_belongs_to_someone_else_does_not_exist(export, project):
    other = APIClient()
    other.force_authenticate(User.objects.create_user("eve"))
    for path in (f"/api/exports/{export.pk}/status", f"/api/exports/{export.pk}/events"):
        assert other.get(path).status_code == 404
    assert other.get(f"/api/projects/{project.pk}").status_code == 404
    assert ask(other, project).status_code == 404
    assert other.post(f"/api/exports/{export.pk}/retry").status_code == 404
    assert other.get("/api/exports/history").json()["results"] == []


@pytest.mark.parametrize("header", [None, "Bearer nonsense"])
def test_without_a_valid_token_nothing_is_answered(client, db, header):
    headers = {"Authorization": header} if header else {}
    answer = client.get("/api/exports/history", headers=headers)
    assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")


def test_an_unknown_address_under_api_is_a_problem(client, db):
    answer = client.get("/api/nothing")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


def test_projects_are_made_changed_and_deleted(api, sent):
    made = api.post("/api/projects", {"title": "T", "compositionId": "M"}, format="json")
    assert made.status_code == 201, made.content
    path = f"/api/projects/{made.json()['projectId']}"
    assert api.patch(path, {"title": "U"}, format="json").json()["title"] == "U"
    assert len(api.get("/api/projects").json()["results"]) == 1
    assert api.delete(path).status_code == 204
    assert not Project.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {"propsSchema": {"type": "nonsense"}},
        {"propsSchema": []},
        {"propsSchema": {"$ref": "https://example.com/schema"}},
        {"serveUrl": "https://evil.example/sites/main/index.html"},
        {"serveUrl": "https://renderhub-test.s3.amazonaws.com/sites/main/../../x"},
    ],
)
def test_a_project_with_a_bad_schema_or_site_is_refused(api, body):
    answer = api.post("/api/projects", {"title": "T", "compositionId": "M", **body}, format="json")
    assert answer.status_code == 400, answer.content


def test_a_site_beside_the_deployments_own_is_allowed(api):
    url = "https://renderhub-test.s3.amazonaws.com/sites/main/other.html"
    body = {"title": "T", "compositionId": "M", "serveUrl": url, "propsSchema": None}
    assert api.post("/api/projects", body, format="json").status_code == 201


def test_a_project_with_running_exports_is_kept(api, export, project):
    assert api.delete(f"/api/projects/{project.pk}").status_code == 409


def test_history_pages_are_newest_first_and_cost_a_fixed_number_of_queries(
    api, project, sent, django_assert_num_queries
):
    made = [ask(api, project).json()["exportId"] for _ in range(5)]
    with django_assert_num_queries(2):
        page = api.get("/api/exports/history?pageSize=3").json()
    assert [row["exportId"] for row in page["results"]] == made[:1:-1]
    rest = api.get(page["next"]).json()
    assert [row["exportId"] for row in rest["results"]] == made[1::-1]


def test_the_schema_describes_just_what_a_status_holds(api, export):
    seen = api.get(f"/api/exports/{export.pk}/status").json()
    assert list(seen) == list(ExportStatusSerializer().fields)


def test_every_codec_has_an_extension():
    assert set(Codec.values) == set(CODEC_EXTENSIONS)


@pytest.mark.parametrize(
    ("signature", "status"),
    [(None, 401), ("sha256=00", 401), ("sha999=00", 401), ("zz", 401), ("NO_SECRET_PROVIDED", 401)],
)
def test_a_webhook_without_a_proven_signature_is_refused(client, export, signature, status):
    assert post_webhook(client, b"{}", signature).status_code == status
    assert ExportRequest.objects.get().version == 1


def signed(client, data, secret="new-secret"):
    body = json.dumps(data).encode()
    return post_webhook(client, body, signing.sign(body, secret=secret))


def test_webhooks_stale_malformed_unknown_and_of_unknown_exports(client, db):
    now = time.time()
    unknown = {"id": "i", "timestamp": now, "type": "render_dreamt", "exportId": "x", "attempt": 1}
    assert signed(client, unknown).status_code == 200
    assert signed(client, {**unknown, "timestamp": now - 301}).status_code == 401
    assert signed(client, {**unknown, "timestamp": now + 301}).status_code == 401
    assert signed(client, {"id": "i"}).status_code == 400
    assert signed(client, unknown, secret="wrong").status_code == 401
    foreign = {**unknown, "type": "render_started", "token": "t", "version": 1}
    assert signed(client, foreign).status_code == 404
    foreign["exportId"] = "01a20d50-d333-721e-9470-803a8d1ca703"
    assert signed(client, foreign).status_code == 404


def test_a_demo_webhook_is_refused_in_production(client, export, settings):
    assert settings.DEBUG is False  # the test runner's doing
    body = b"{}"
    answer = client.post(
        "/api/exports/webhook",
        body,
        content_type="application/json",
        headers={
            "X-Remotion-Signature": signing.sign(body, secret="new-secret", scheme=signing.Scheme.REMOTION),
            "X-Remotion-Mode": "demo",
        },
    )
    assert answer.status_code == 401


def test_support_staff_see_why_an_export_failed_and_retry_it(admin_client, export, sent):
    ExportRequest.objects.update(status="failed", error_code="throttled")
    page = admin_client.get(f"/admin/exports/exportrequest/{export.pk}/change/")
    assert b"higher concurrency quota" in page.content
    for _ in range(2):
        answer = admin_client.post(
            "/admin/exports/exportrequest/",
            {"action": "retry", "_selected_action": [str(export.pk)]},
            follow=True,
        )
        assert answer.status_code == 200
    row = ExportRequest.objects.get()
    assert (row.status, row.attempt) == ("pending", 2)
    assert admin_client.get("/admin/exports/render/").status_code == 200
    assert admin_client.get("/admin/exports/project/").status_code == 200


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("renderMedia() got cancelled", "render_cancelled"),
        ("Could not find composition with ID X", "composition_not_found"),
        ("Rate Exceeded.", "throttled"),
        ("AccessDenied: not authorized to perform s3:PutObject", "access_denied"),
        ("net::ERR_CONNECTION_REFUSED", "site_unreachable"),
        ("A delayRender() was called but not cleared", "asset_timeout"),
        ("Target closed", "browser_crashed"),
        ("The chart has no data", "composition_failed"),
    ],
)
def test_a_failure_is_told_from_remotions_words(message, code):
    assert classify([RenderFailure(message=message)]).code == code

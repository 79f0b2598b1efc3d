import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from exports.failures import classify
from exports.models import Codec, ExportRequest, Project
from exports.serializers.status import ExportStatusSerializer
from lambda_worker.contract import CODEC_EXTENSIONS, RenderFailure


def ask(api, project, **body):
    return api.post(f"/api/exports/projects/{project.pk}/export", body, format="json")


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
    with django_assert_num_queries(3):
        page = api.get("/api/exports/history?pageSize=3").json()
    assert [row["exportId"] for row in page["results"]] == made[:1:-1]
    rest = api.get(page["next"]).json()
    assert [row["exportId"] for row in rest["results"]] == made[1::-1]


def test_the_schema_describes_just_what_a_status_holds(api, export):
    seen = api.get(f"/api/exports/{export.pk}/status").json()
    assert list(seen) == list(ExportStatusSerializer().fields)


def test_every_codec_has_an_extension():
    assert set(Codec.values) == set(CODEC_EXTENSIONS)


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

"""Deleting exports, over HTTP."""

from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from django.contrib.auth.models import User
from django.db import connection
from rest_framework.test import APIClient

from exports import services
from exports.models import ExportRequest, MetadataPair, Render, timeline_entry
from exports.services import requests
from notifications.models import Delivery
from tests.conftest import NOW
from tests.exports.test_journey import claim, failed, progress, started, success


@pytest.fixture(autouse=True)
def bucket(monkeypatch):
    """The keys that were deleted from the bucket; it is out of reach while ``down``."""
    deleted: list[str] = []

    class Bucket:
        down = False
        keys = deleted

    def delete(*, bucket_name: str, key: str) -> None:
        if Bucket.down:
            raise EndpointConnectionError(endpoint_url="http://localhost")
        deleted.append(key)

    for module in ("requests", "reports", "repairs"):
        monkeypatch.setattr(f"exports.services.{module}.delete_output", delete)
    monkeypatch.setattr("exports.renders.cancel", lambda **_: True)
    return Bucket


def delete(api: Any, export: ExportRequest) -> Any:
    return api.delete(f"/api/exports/{export.pk}")


@pytest.fixture
def ask(api, project, sent):
    def ask(**body):
        answer = api.post(f"/api/exports/projects/{project.pk}/export", body, format="json")
        return ExportRequest.objects.get(pk=answer.json()["exportId"])

    return ask


def complete(report, export):
    report(claim(export))
    report(started(export))
    report(success(export))


def row(export):
    return ExportRequest.objects.get(pk=export.pk)


def test_a_deleted_export_is_gone_from_everywhere_with_its_file(api, ask, report, bucket, outputs):
    export, other = ask(metadata={"order": "7"}), ask(metadata={"order": "7"})
    complete(report, export)
    assert (delete(api, export).status_code, bucket.keys) == (204, [f"renders/export-{export.pk}.mp4"])
    for path in ("status", "events"):
        assert api.get(f"/api/exports/{export.pk}/{path}").status_code == 404
    for path in ("retry", "cancel"):
        assert api.post(f"/api/exports/{export.pk}/{path}").status_code == 404
    assert delete(api, export).status_code == 404
    for query in ("", "?status=completed,pending", "?metadata[order]=7", f"?projectId={export.project_id}"):
        found = [each["exportId"] for each in api.get(f"/api/exports/history{query}").json()["results"]]
        assert found == [str(other.pk)]
    assert str(export.pk) not in api.get("/api/exports/history.csv").getvalue().decode()


def test_nothing_that_its_owner_put_in_it_is_left_but_what_it_cost_is(api, ask, report):
    export = ask(metadata={"order": "secret-1"}, inputProps={"title": "secret-2"})
    ExportRequest.objects.update(title="secret-3", error_message="secret-4", errors=[{"message": "secret-5"}])
    complete(report, export)
    delete(api, export)
    left = row(export)
    held = " ".join(str(getattr(left, field.attname)) for field in ExportRequest._meta.fields)
    assert "secret" not in held
    assert not MetadataPair.objects.exists()
    assert (left.status, left.output_size_bytes, left.project_id) == ("completed", 7, export.project_id)
    assert [entry["type"] for entry in left.timeline] == ["deleted"]
    assert Render.objects.get(export=export).cost_usd == Decimal("0.02")


def test_one_that_waits_is_cancelled_first_and_never_starts(one_slot, api, ask, report, sent, bucket):
    running, waiting, behind = ask(), ask(), ask()
    assert delete(api, waiting).status_code == 204
    assert (row(waiting).status, row(waiting).rank) == ("cancelled", None)
    assert row(behind).rank is not None
    assert delete(api, running).status_code == 204
    assert row(running).slot is None
    assert sent.messages[-1].export_id == str(behind.pk)
    assert report(claim(running)).json() == {"action": "skip"}
    assert bucket.keys == []


def test_the_render_of_a_deleted_export_is_stopped_its_cost_kept_and_its_file_dropped(
    api, ask, report, bucket
):
    export = ask()
    report(claim(export))
    report(started(export))
    assert delete(api, export).status_code == 204
    bucket.keys.clear()
    report(progress(export, 0.5, cost=0.01))
    report(success(export))
    assert (row(export).status, row(export).deleted) == ("cancelled", True)
    assert Render.objects.get().cost_usd == Decimal("0.02")
    assert bucket.keys == [f"renders/export-{export.pk}.mp4"]
    bucket.down = True
    assert report(success(export)).status_code == 200


def test_a_render_that_is_just_being_started_is_cancelled_once_it_is_known(api, ask, report):
    export = ask()
    report(claim(export))
    delete(api, export)
    assert report(started(export)).json() == {"action": "cancel"}


def test_the_files_of_earlier_attempts_go_too(api, ask, report, bucket):
    export = ask()
    report(claim(export))
    report(started(export))
    report(failed(export, "Target closed"))
    delete(api, export)
    stem = f"renders/export-{export.pk}"
    assert bucket.keys == [f"{stem}.mp4", f"{stem}-2.mp4"]


def test_while_its_file_can_not_be_deleted_the_export_stays(api, ask, report, bucket):
    export = ask(metadata={"order": "7"})
    complete(report, export)
    bucket.down = True
    answer = delete(api, export)
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert answer.json()["type"] == "urn:renderhub:problem:storage-unreachable"
    assert api.get("/api/exports/history?metadata[order]=7").json()["results"] != []
    bucket.down = False
    assert delete(api, export).status_code == 204


def test_where_it_stopped_in_between_asking_again_goes_on(api, user, ask, report, sent, monkeypatch):
    export = ask(metadata={"order": "7"})
    complete(report, export)

    def die(**_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(requests, "timeline_entry", die)
        with pytest.raises(KeyboardInterrupt):
            services.delete_export(export_id=export.pk, by=user, queue=sent, now=NOW)
    assert [each["exportId"] for each in api.get("/api/exports/history").json()["results"]] == [
        str(export.pk)
    ]
    assert delete(api, export).status_code == 204
    assert api.get("/api/exports/history").json()["results"] == []


def test_a_retry_at_the_same_moment_is_cancelled_too(api, user, ask, report, sent, monkeypatch):
    export = ask()
    api.post(f"/api/exports/{export.pk}/cancel")

    def retry_meanwhile(**fields: Any) -> Any:
        monkeypatch.setattr(requests, "timeline_entry", timeline_entry)
        services.retry_export(export_id=export.pk, by=user, queue=sent, now=NOW)
        return timeline_entry(**fields)

    monkeypatch.setattr(requests, "timeline_entry", retry_meanwhile)
    assert delete(api, export).status_code == 204
    assert (row(export).attempt, row(export).status, row(export).slot) == (2, "cancelled", None)


def test_its_end_is_told_before_it_is_deleted(api, ask, report):
    export = ask()
    User.objects.update(email="ada@example.com")
    complete(report, export)
    # As where the process died before it told.
    Delivery.objects.all().delete()
    ExportRequest.objects.update(notify_pending=True)
    delete(api, export)
    assert Delivery.objects.get().kind == "export_completed"
    assert row(export).notify_pending is False


def test_support_can_not_retry_what_its_owner_has_deleted(admin_client, api, ask):
    export = ask()
    delete(api, export)
    page = admin_client.post(
        "/admin/exports/exportrequest/",
        {"action": "retry", "_selected_action": [str(export.pk)]},
        follow=True,
    )
    assert "is deleted" in page.content.decode()
    assert row(export).attempt == 1


def test_nobody_deletes_what_belongs_to_someone_else(export, bucket):
    other = APIClient()
    other.force_authenticate(User.objects.create_user("eve"))
    assert delete(other, export).status_code == 404
    assert delete(APIClient(), export).status_code == 401
    assert (row(export).deleted, bucket.keys) == (False, [])


def test_a_user_goes_with_all_exports_and_their_metadata(user, api, ask):
    delete(api, ask(metadata={"a": "1"}))
    ask(metadata={"a": "1"})
    user.delete()
    assert not ExportRequest.objects.exists()
    assert not MetadataPair.objects.exists()
    if connection.vendor != "mongodb":
        connection.check_constraints()

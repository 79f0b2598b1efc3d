"""How many of one user's exports may be pending."""

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from exports import services
from exports.models import ExportRequest
from exports.services import QuotaExceededError, check_quota
from tests.conftest import NOW


@pytest.fixture
def order(api, project, sent, settings):
    """Asks for an export; three may be pending, and one of them may render."""
    settings.MAX_PENDING_PER_USER = 3
    settings.RENDER_MAX_CONCURRENCY_PER_USER = 1
    return lambda: api.post(f"/api/exports/projects/{project.pk}/export", {})


def assert_over_quota(answer, pending):
    assert (answer.status_code, answer["Content-Type"]) == (429, "application/problem+json")
    body = answer.json()
    assert body["type"] == "urn:renderhub:problem:quota-exceeded"
    assert (body["pending"], body["limit"]) == (pending, 3)
    assert "cancel some" in body["detail"]
    # Time alone mends nothing.
    assert "Retry-After" not in answer


def test_one_more_than_may_be_pending_is_refused_and_not_recorded(order, user):
    assert [order().status_code for _ in range(3)] == [202] * 3
    # Those that have a slot and those that wait for one.
    assert ExportRequest.objects.filter(slot=None).count() == 2
    assert_over_quota(order(), pending=3)
    assert ExportRequest.objects.count() == 3


def test_whoever_cancels_one_or_sees_one_begin_may_ask_again(order, api):
    exports = [order().json()["exportId"] for _ in range(3)]
    api.post(f"/api/exports/{exports[2]}/cancel")
    assert order().status_code == 202
    assert_over_quota(order(), pending=3)
    ExportRequest.objects.filter(pk=exports[0]).update(status="processing")
    assert order().status_code == 202


def test_a_retry_counts_like_a_new_one(order, api):
    first = order().json()["exportId"]
    api.post(f"/api/exports/{first}/cancel")
    for _ in range(3):
        order()
    assert_over_quota(api.post(f"/api/exports/{first}/retry"), pending=3)
    assert ExportRequest.objects.get(pk=first).status == "cancelled"


def test_support_may_retry_beyond_the_quota(order, api, sent, django_user_model):
    first = order().json()["exportId"]
    api.post(f"/api/exports/{first}/cancel")
    for _ in range(3):
        order()
    grace = django_user_model.objects.create_superuser("grace")
    export = services.retry_export(export_id=first, by=grace, queue=sent, now=NOW)
    assert export.status == "pending"


def test_everybody_has_a_quota_of_their_own(order, project):
    for _ in range(3):
        order()
    eve = User.objects.create_user("eve")
    project.pk, project.user = None, eve
    project.save(force_insert=True)
    other = APIClient()
    other.force_authenticate(eve)
    assert other.post(f"/api/exports/projects/{project.pk}/export", {}).status_code == 202


def test_several_at_once_are_refused_as_a_whole(order, user):
    order()
    check_quota(user.pk, wanted=2)
    with pytest.raises(QuotaExceededError, match=r"^3 more would be beyond the 3 exports.* 1 are"):
        check_quota(user.pk, wanted=3)


@pytest.mark.parametrize(
    ("path", "body", "module"),
    [("export", {}, "requests"), ("batch", {"items": [{}, {}, {}]}, "batches")],
)
def test_a_request_that_comes_twice_at_once_and_is_the_last_within_the_quota_is_answered_twice(
    order, api, project, path, body, module
):
    if module == "requests":
        order()
        order()

    where = f"/api/exports/projects/{project.pk}/{path}"

    def ask():
        return api.post(where, body, format="json", headers={"Idempotency-Key": "k"})

    answers = []

    def ask_between(user_id, wanted=1):
        patch.undo()
        answers.append(ask())
        check_quota(user_id, wanted=wanted)

    # Not the fixture's, with which all that others have put in place would go too.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"exports.services.{module}.check_quota", ask_between)
        answers.append(ask())
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert ExportRequest.objects.count() == 3

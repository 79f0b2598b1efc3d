"""A request that is sent again with its ``Idempotency-Key``."""

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection
from rest_framework.test import APIClient

from exports import services
from exports.models import ExportRequest, Project
from exports.services import forget_keys
from exports.sweeper import sweep
from tests.conftest import NOW


@pytest.fixture
def ask(api, project, sent):
    def ask(key='"k1"', body=None, to=project, client=api):
        headers = {} if key is None else {"Idempotency-Key": key}
        path = f"/api/exports/projects/{to.pk}/export"
        return client.post(path, body or {}, format="json", headers=headers)

    return ask


def kind(answer):
    return answer.status_code, answer.json().get("type", "").rpartition(":")[2]


def test_the_same_request_gets_the_same_export(ask, sent):
    first, second = ask(), ask()
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.json() == first.json()
    assert second["Location"] == first["Location"]
    assert ("Idempotency-Replayed" in first, second["Idempotency-Replayed"]) == (False, "true")
    assert (ExportRequest.objects.count(), len(sent.messages)) == (1, 1)


def test_without_a_key_each_request_is_a_new_one(ask):
    assert ask(None).json()["exportId"] != ask(None).json()["exportId"]


def test_the_order_of_a_bodys_members_makes_no_difference(ask):
    first = ask(body={"codec": "vp9", "inputProps": {"title": "a"}})
    second = ask(body={"inputProps": {"title": "a"}, "codec": "vp9"})
    assert first.json()["exportId"] == second.json()["exportId"]


@pytest.mark.parametrize("body", [{"codec": "vp9"}, {"inputProps": {}}])
def test_another_body_under_the_same_key_is_refused(ask, body):
    ask()
    assert kind(ask(body=body)) == (422, "idempotency-key-reused")
    assert ExportRequest.objects.count() == 1


def test_another_project_under_the_same_key_is_refused(ask, user):
    ask()
    other = Project.objects.create(user=user, title="T", composition_id="M")
    assert kind(ask(to=other)) == (422, "idempotency-key-reused")


def test_a_key_is_its_users_own(ask):
    eve = User.objects.create_user("eve")
    client = APIClient()
    client.force_authenticate(eve)
    theirs = Project.objects.create(user=eve, title="T", composition_id="M")
    assert ask().json()["exportId"] != ask(to=theirs, client=client).json()["exportId"]


@pytest.mark.parametrize(
    ("first", "second"),
    [('"k"', "k"), (' "k" ', "k"), (r'"a\"\\b"', r'a"\b'), ("k=1", '"k=1"')],
)
def test_a_key_is_the_same_bare_and_in_quotation_marks(ask, first, second):
    assert ask(first).json()["exportId"] == ask(second).json()["exportId"]


@pytest.mark.parametrize(
    "key", ["x", "x" * 255, '"' + "x" * 255 + '"', "~!", "550e8400-e29b-41d4-a716-446655440000"]
)
def test_what_is_a_key(ask, key):
    assert ask(key).status_code == 202


@pytest.mark.parametrize(
    "key",
    [
        "",
        " ",
        '""',
        '"',
        '"a',
        "a b",
        '"a b"',
        '"a"b"',
        r'"a\b"',
        "x" * 256,
        '"' + "x" * 256 + '"',
        "\xfc",
        "a\tb",
        "\x7f",
    ],
)
def test_what_is_no_key_is_refused_and_nothing_is_recorded(ask, key):
    assert kind(ask(key)) == (400, "idempotency-key-invalid")
    assert not ExportRequest.objects.exists()


def test_a_refused_request_does_not_use_its_key_up(ask):
    assert ask(body={"codec": "betamax"}).status_code == 400
    assert ask().status_code == 202


def test_a_repeated_request_finds_its_export_though_the_project_has_changed(ask, project):
    first = ask()
    Project.objects.update(props_schema={"required": ["unknown"]})
    assert ask().json()["exportId"] == first.json()["exportId"]


def test_one_that_died_before_it_answered_is_found_by_its_repetition(ask, sent, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("exports.services.requests.send_starts", lambda *args, **more: exit())
        with pytest.raises(SystemExit):
            ask()
    [left] = ExportRequest.objects.all()
    assert ask().json()["exportId"] == str(left.pk)
    # The sweeper sends what was not sent.
    assert left.due_at is not None
    assert services.handle_due(queue=sent, now=left.due_at) == 1


def test_a_key_is_forgotten_after_a_day_by_the_sweeper(ask, monkeypatch):
    first = ask()
    made = ExportRequest.objects.get()
    assert forget_keys(now=made.created_at + timedelta(hours=24, seconds=-1)) == 0
    assert ask().json()["exportId"] == first.json()["exportId"]
    assert forget_keys(now=made.created_at + timedelta(hours=24)) == 1
    assert ask(body={"codec": "vp9"}).json()["exportId"] != first.json()["exportId"]
    ExportRequest.objects.update(key_expires_at=NOW)
    monkeypatch.setattr("exports.sweeper.close_old_connections", lambda: None)
    sweep()
    assert not ExportRequest.objects.filter(idempotency_key__isnull=False).exists()


def test_keys_are_forgotten_in_portions(ask):
    for n in range(3):
        ask(f"k{n}")
    later = ExportRequest.objects.latest("created_at").created_at + timedelta(days=2)
    assert [forget_keys(now=later, limit=2) for _ in range(3)] == [2, 1, 0]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("slots", [1, 1000])
def test_of_fifty_identical_requests_at_once_one_makes_the_export(ask, settings, sent, slots):
    settings.RENDER_MAX_CONCURRENCY = settings.RENDER_MAX_CONCURRENCY_PER_USER = slots
    if slots == 1:
        ask(None)
    before = ExportRequest.objects.count()
    answers = []
    ready = threading.Barrier(50)

    def go():
        try:
            ready.wait()
            answers.append(ask())
        finally:
            connection.close()

    threads = [threading.Thread(target=go) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [202] * 50
    assert len({answer.json()["exportId"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer for answer in answers) == 49
    assert ExportRequest.objects.count() == before + 1
    assert len(sent.messages) == 1


@pytest.mark.django_db(transaction=True)
def test_a_clash_that_is_none_of_the_key_is_not_taken_for_one(ask, monkeypatch):
    def clash(*args, **more):
        raise IntegrityError

    monkeypatch.setattr(ExportRequest, "save", clash)
    with pytest.raises(IntegrityError):
        ask()

import pytest
from botocore.exceptions import EndpointConnectionError
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from exports import renders, services
from exports.models import ExportRequest, Pause
from exports.representations import queue_position, queue_positions
from renderhub import aws
from tests.exports.test_journey import claim, started

LIST = "/admin/exports/exportrequest/"


@pytest.fixture
def support(db, client):
    """Signs in a member of staff who may look at exports and change them, and what else a test gives them."""
    user = User.objects.create_user("grace", is_staff=True)

    def sign_in(*extra):
        names = ["view_exportrequest", "change_exportrequest", *extra]
        user.user_permissions.set(Permission.objects.filter(codename__in=names))
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def cancelled_at_remotion(monkeypatch):
    """The render ids that were told to stop."""
    ids = []

    def cancel(*, bucket_name, render_id, now):
        ids.append(render_id)
        return True

    monkeypatch.setattr(renders, "cancel", cancel)
    return ids


def make(project, count, **columns):
    now = timezone.now()
    return [
        ExportRequest.objects.create(
            project=project,
            user_id=project.user_id,
            title=f"Report {number}",
            codec="h264",
            created_at=now,
            queued_at=now,
            updated_at=now,
            **columns,
        )
        for number in range(count)
    ]


def act(client, name, exports):
    answer = client.post(
        LIST, {"action": name, "_selected_action": [str(export.pk) for export in exports]}, follow=True
    )
    assert answer.status_code == 200
    return [str(message) for message in answer.context["messages"]]


def test_staff_see_slots_priorities_and_places_in_the_line(support, export, project):
    make(project, 1, priority=1, rank=timezone.now())
    make(project, 1, priority=3)
    page = support().get(LIST).content.decode()
    assert "slot " in page
    assert "waits as number 1" in page
    assert "waits as number 2" in page
    assert "High" in page


def test_a_list_of_any_length_costs_a_fixed_number_of_queries(
    support, project, django_assert_num_queries, django_assert_max_num_queries
):
    client = support()
    make(project, 2, rank=None)
    with django_assert_max_num_queries(20) as few:
        client.get(LIST)
    make(project, 30)
    with django_assert_num_queries(len(few)):
        client.get(LIST)


def test_places_on_a_page_are_those_that_owners_see(project, django_user_model):
    other = django_user_model.objects.create_user("eve")
    rows = make(project, 3, rank=None)
    ExportRequest.objects.filter(pk=rows[1].pk).update(priority=1, rank=timezone.now())
    ExportRequest.objects.filter(pk=rows[2].pk).update(user=other, rank=timezone.now())
    seen = list(ExportRequest.objects.all())
    assert queue_positions(seen) == {export.pk: queue_position(export) for export in seen}


def test_whoever_may_not_pause_sees_no_switch(support, export):
    page = support().get(LIST).content.decode()
    assert "Pause renders" not in page
    assert support().post(LIST + "pause", {"reason": "x"}).status_code == 403
    assert support().post(LIST + "resume").status_code == 403
    assert not Pause.objects.exists()


def test_everybody_on_the_list_sees_that_renders_are_paused_by_whom_and_why(support, export):
    services.pause_renders(by="ada", reason="bad <deploy>", now=timezone.now())
    page = support().get(LIST).content.decode()
    assert "Renders are paused by ada since " in page
    assert "bad &lt;deploy&gt;" in page
    assert "Resume renders" not in page


def test_a_pause_and_its_end_are_logged(support, export, sent):
    client = support("add_pause", "delete_pause")
    assert "Pause renders" in client.get(LIST).content.decode()
    page = client.post(LIST + "pause", {"reason": "bad deploy"}, follow=True).content.decode()
    assert "Renders are paused by grace" in page
    assert "Resume renders" in page
    again = client.post(LIST + "pause", {"reason": "other"}, follow=True).content.decode()
    assert "paused already" in again
    assert Pause.objects.get().reason == "bad deploy"
    client.post(LIST + "resume")
    assert not Pause.objects.exists()
    logged = [(entry.action_flag, entry.object_id) for entry in LogEntry.objects.order_by("pk")]
    assert logged == [(1, "renders"), (3, "renders")]


def test_what_waited_through_a_pause_renders_once_it_ends(support, project, sent):
    client = support("add_pause", "delete_pause")
    client.post(LIST + "pause", {"reason": "x"})
    make(project, 1, rank=timezone.now())
    assert sent.messages == []
    page = client.post(LIST + "resume", follow=True).content.decode()
    assert "Slots given at once: 1." in page
    assert len(sent.messages) == 1


def test_the_switch_takes_no_get_no_stranger_and_no_foreign_page(client, support):
    assert client.post(LIST + "pause").headers["Location"].startswith("/admin/login/")
    assert support("add_pause").get(LIST + "pause").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="grace"))
    assert strict.post(LIST + "pause", {"reason": "x"}).status_code == 403
    assert not Pause.objects.exists()


def test_cancelling_says_how_far_each_render_was_stopped(
    support, export, project, sent, report, cancelled_at_remotion
):
    report(claim(export))
    report(started(export))
    (waiting,) = make(project, 1)
    (ended,) = make(project, 1, status="completed")
    told = act(support(), "cancel", [export, waiting, ended])
    assert told == [
        "1 cancelled. No render had been started.",
        "1 cancelled. Its render was told to stop. What it has rendered until then is paid.",
        f"{ended.pk}: Only an export that has not ended can be cancelled; this one is completed.",
    ]
    assert cancelled_at_remotion == ["r1"]
    export.refresh_from_db()
    assert (export.status, export.slot) == ("cancelled", None)
    assert export.timeline[-1]["detail"] == "by grace"
    assert LogEntry.objects.filter(change_message="Cancelled.").count() == 2


def test_a_render_that_could_not_be_told_to_stop_is_named(support, export, report, monkeypatch, sent):
    report(claim(export))
    report(started(export))

    def unreachable():
        raise EndpointConnectionError(endpoint_url="http://localhost")

    monkeypatch.setattr(aws, "s3", unreachable)
    (told,) = act(support(), "cancel", [export])
    assert told.startswith(f"{export.pk}: Its render could not be told to stop")


def test_cancelling_all_of_a_line_starts_none_of_it(one_slot, support, export, project, sent):
    waiting = make(project, 3)
    services.mend_line(queue=sent, now=timezone.now())
    before = len(sent.messages)
    act(support(), "cancel", [export, *waiting])
    assert set(ExportRequest.objects.values_list("status", flat=True)) == {"cancelled"}
    assert len(sent.messages) == before


def test_an_action_on_many_names_the_first_that_it_left_alone(support, project, sent):
    told = act(support(), "retry", make(project, 25, status="completed"))
    assert len(told) == 21
    assert told[-1] == "… and 5 more."


def test_retrying_renders_again_what_failed(support, export, sent):
    ExportRequest.objects.update(status="failed", slot=None, user_slot=None)
    assert act(support(), "retry", [export]) == ["1 retried."]
    export.refresh_from_db()
    assert (export.status, export.attempt) == ("pending", 2)
    assert LogEntry.objects.get().change_message == "Retried."


@pytest.mark.parametrize("name", ["cancel", "retry"])
def test_who_may_only_look_is_offered_no_action(support, export, sent, name):
    client = support()
    User.objects.get(username="grace").user_permissions.set(
        Permission.objects.filter(codename="view_exportrequest")
    )
    act(client, name, [export])
    assert ExportRequest.objects.get().version == export.version


def test_an_export_shows_all_of_itself_and_what_to_do(admin_client, export):
    ExportRequest.objects.update(status="failed", error_code="unreadable_message")
    page = admin_client.get(f"{LIST}{export.pk}/change/").content.decode()
    assert "Look at the worker&#x27;s log for the reason" in page

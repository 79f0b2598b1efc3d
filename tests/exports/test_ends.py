from datetime import timedelta

import pytest
from django.utils import timezone

from exports.models import ExportRequest
from exports.services import cancel_export, handle_due, notify_left_over, retry_export
from exports.services.ends import notify_of_end
from lambda_worker.contract import RenderTimeout
from notifications import services as notifications
from notifications.models import Delivery
from tests.exports.test_journey import claim, failed, started, success


@pytest.fixture
def user(user):
    user.email = "ada@example.com"
    user.save()
    return user


@pytest.fixture
def running(export, report):
    report(claim(export))
    report(started(export))
    return export


@pytest.fixture
def crash(monkeypatch):
    """Kills the process between the end of an export and what it writes then."""

    class KilledError(BaseException):
        pass

    def die(**arguments):
        raise KilledError

    def run(act):
        with monkeypatch.context() as killing:
            killing.setattr(notifications, "notify", die)
            with pytest.raises(KilledError):
                act()

    return run


def told():
    return list(Delivery.objects.order_by("pk").values_list("kind", "key"))


def time_out(export):
    return RenderTimeout(export_id=str(export.pk), attempt=1, render_id="r1", bucket_name="b")


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (success, "export_completed"),
        (lambda export: failed(export, "The chart has no data"), "export_failed"),
        (time_out, "export_failed"),
    ],
)
def test_each_end_that_is_reported_writes_one_notification(running, report, end, kind):
    for _ in range(2):
        report(end(running))
    assert told() == [(kind, f"export:{running.pk}:1")]
    assert ExportRequest.objects.get().notify_pending is False


def test_a_cancelled_export_writes_one_notification(running, user, sent, report):
    cancel_export(export_id=running.pk, by=user, queue=sent, now=timezone.now())
    report(success(running))
    assert told() == [("export_cancelled", f"export:{running.pk}:1")]


def test_an_export_that_runs_out_of_time_writes_one_notification(running, sent):
    for _ in range(2):
        handle_due(queue=sent, now=timezone.now() + timedelta(seconds=901))
    assert told() == [("export_failed", f"export:{running.pk}:1")]


def test_each_attempt_that_a_person_asked_for_has_a_notification_of_its_own(running, report, user, sent):
    report(failed(running, "boom"))
    retry_export(export_id=running.pk, by=user, queue=sent, now=timezone.now())
    cancel_export(export_id=running.pk, by=user, queue=sent, now=timezone.now())
    assert told() == [
        ("export_failed", f"export:{running.pk}:1"),
        ("export_cancelled", f"export:{running.pk}:2"),
    ]


def test_a_further_attempt_by_itself_tells_nobody(running, report):
    report(failed(running, "Page crashed!"))
    assert ExportRequest.objects.get().status == "pending"
    assert told() == []


def test_the_notification_of_an_end_that_a_crash_cut_short_is_written_by_the_sweeper(
    running, user, sent, crash
):
    crash(lambda: cancel_export(export_id=running.pk, by=user, queue=sent, now=timezone.now()))
    row = ExportRequest.objects.get()
    assert (row.status, row.notify_pending, told()) == ("cancelled", True, [])
    assert [notify_left_over(now=timezone.now()) for _ in range(2)] == [1, 0]
    assert told() == [("export_cancelled", f"export:{running.pk}:1")]
    assert ExportRequest.objects.get().notify_pending is False


def test_a_retry_writes_first_what_a_crash_left_over(running, user, sent, crash):
    crash(lambda: cancel_export(export_id=running.pk, by=user, queue=sent, now=timezone.now()))
    retry_export(export_id=running.pk, by=user, queue=sent, now=timezone.now())
    assert told() == [("export_cancelled", f"export:{running.pk}:1")]
    row = ExportRequest.objects.get()
    assert (row.attempt, row.notify_pending) == (2, False)


def test_a_sweeper_that_read_before_the_retry_tells_the_old_end_and_leaves_the_new_attempt_alone(
    running, user, sent, crash
):
    crash(lambda: cancel_export(export_id=running.pk, by=user, queue=sent, now=timezone.now()))
    seen = ExportRequest.objects.get()
    retry_export(export_id=running.pk, by=user, queue=sent, now=timezone.now())
    crash(lambda: cancel_export(export_id=running.pk, by=user, queue=sent, now=timezone.now()))
    notify_of_end(seen, now=timezone.now())
    assert told() == [("export_cancelled", f"export:{running.pk}:1")]
    assert ExportRequest.objects.get().notify_pending is True


def test_an_end_gives_its_slot_to_the_next_in_line(one_slot, running, api, project, report, sent):
    waiting = api.post(f"/api/exports/projects/{project.pk}/export", {}, format="json").json()["exportId"]
    assert len(sent.messages) == 1
    report(success(running))
    assert sent.messages[-1].export_id == waiting
    assert ExportRequest.objects.get(pk=waiting).slot == 1
    assert ExportRequest.objects.get(pk=running.pk).slot is None

import pytest
from django.utils import timezone

from exports.models import ExportRequest
from exports.services import handle_dead_letters, retry_export
from lambda_worker.contract import PollMessage, dump_message
from notifications.models import Delivery
from tests.exports.test_journey import claim

UNREADABLE = '{"type": "RENDER_DREAM"}'


@pytest.fixture
def start(export, sent):
    """The start message of the export, as the worker got it."""
    return dump_message(sent.messages[0])


@pytest.fixture
def handle(dead_letters, sent):
    return lambda **more: handle_dead_letters(letters=dead_letters, queue=sent, now=timezone.now(), **more)


def test_a_start_that_nobody_could_handle_fails_its_export_once(user, dead_letters, handle, start):
    user.email = "ada@example.com"
    user.save()
    dead_letters.add(start)
    dead_letters.add(start)
    assert handle() == 2
    row = ExportRequest.objects.get()
    assert (row.status, row.error_code, row.retryable) == ("failed", "unreadable_message", False)
    assert (row.slot, row.due_at) == (None, None)
    assert dead_letters.letters == []
    assert Delivery.objects.count() == 1


def test_the_workers_reason_is_what_its_owner_reads(dead_letters, handle, start):
    dead_letters.add(start, reason="renderConfig.frame is missing")
    handle()
    assert ExportRequest.objects.get().error_message.endswith(": renderConfig.frame is missing")


def test_a_start_whose_export_has_moved_on_is_dropped(dead_letters, handle, start, export, report):
    report(claim(export))
    dead_letters.add(start)
    assert handle() == 1
    assert ExportRequest.objects.get().status == "processing"
    assert dead_letters.letters == []


def test_a_start_of_an_earlier_attempt_fails_no_later_one(dead_letters, handle, start, export, sent, user):
    dead_letters.add(start)
    handle()
    retry_export(export_id=export.pk, by=user, queue=sent, now=timezone.now())
    dead_letters.add(start)
    handle()
    row = ExportRequest.objects.get()
    assert (row.status, row.attempt) == ("pending", 2)


def test_a_start_of_an_export_that_is_gone_is_dropped(dead_letters, handle, start, export):
    export.delete()
    dead_letters.add(start)
    assert handle() == 1
    assert dead_letters.letters == []


def test_a_poll_is_dropped_and_changes_nothing(dead_letters, handle, export):
    poll = PollMessage(
        export_id=str(export.pk),
        project_id="p",
        user_id="u",
        attempt=1,
        version=1,
        codec="h264",
        render_id="r",
        bucket_name="b",
        webhook_url="http://localhost",
    )
    dead_letters.add(dump_message(poll))
    assert handle() == 1
    assert dead_letters.letters == []
    assert ExportRequest.objects.get().version == export.version


def test_unreadable_ones_stay_and_hide_none_behind_them(dead_letters, handle, start):
    for _ in range(3):
        dead_letters.add(UNREADABLE)
    dead_letters.add(start)
    assert handle() == 1
    assert dead_letters.waiting == ["m0", "m1", "m2"]
    assert ExportRequest.objects.get().status == "failed"


def test_one_look_ends_at_its_limit(dead_letters, handle, start):
    dead_letters.add(UNREADABLE)
    dead_letters.add(start)
    assert handle(limit=1) == 0
    assert dead_letters.waiting == ["m0", "m1"]


def test_a_queue_that_can_not_be_reached_fails_nothing_else(dead_letters, handle, start):
    dead_letters.add(start)
    dead_letters.down = True
    assert handle() == 0
    dead_letters.down = False
    assert handle() == 1

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from exports.dead_letters import get_dead_letters
from exports.management.commands import deadletters, renders
from exports.models import ExportRequest, Pause
from lambda_worker.contract import dump_message
from tests.conftest import FakeDeadLetters, FakeQueue

UNREADABLE = '{"type": "RENDER_DREAM"}'


def run(*arguments):
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def letters(monkeypatch, dead_letters: FakeDeadLetters) -> FakeDeadLetters:
    """The dead-letter queue of the command, with two unreadable messages."""
    monkeypatch.setattr(deadletters, "get_dead_letters", lambda: dead_letters)
    dead_letters.add(UNREADABLE, reason="type must be RENDER_VIDEO")
    dead_letters.add("{}", reason="no\x1b[2J type")
    return dead_letters


@pytest.fixture
def queue(monkeypatch) -> FakeQueue:
    fake = FakeQueue()
    monkeypatch.setattr(renders, "get_queue", lambda: fake)
    return fake


def test_dead_letters_are_listed_and_stay(letters, export, sent):
    letters.add(dump_message(sent.messages[0]))
    text = run("deadletters", "list")
    assert f"start of export {export.pk}, attempt 1" in text
    assert "type must be RENDER_VIDEO" in text
    assert "Hello" not in text  # a prop
    assert "\x1b" not in text
    assert letters.waiting == ["m0", "m1", "m2"]


def test_dead_letters_are_listed_as_json_without_props(letters, export, sent):
    letters.add(dump_message(sent.messages[0]))
    rows = json.loads(run("deadletters", "list", "--json"))
    assert rows[0]["type"] is None
    assert rows[2] == {
        "id": "m2",
        "sentAt": "2026-01-02T03:04:05Z",
        "receiveCount": 1,
        "reason": "The worker received it several times and never finished with it.",
        "type": "RENDER_VIDEO",
        "action": "start",
        "exportId": str(export.pk),
        "attempt": 1,
    }


def test_an_empty_dead_letter_queue_says_so(letters):
    letters.letters.clear()
    assert run("deadletters", "list") == "There are no dead letters.\n"


def test_all_dead_letters_are_redriven_as_they_are(letters):
    assert run("deadletters", "redrive", "--all") == "2 redriven.\n"
    assert letters.redriven == [UNREADABLE, "{}"]
    assert letters.letters == []


def test_one_dead_letter_is_redriven_by_its_id_and_the_others_stay(letters):
    assert run("deadletters", "redrive", "m1") == "1 redriven.\n"
    assert letters.redriven == ["{}"]
    assert letters.waiting == ["m0"]


def test_an_id_that_is_not_there_changes_nothing(letters):
    with pytest.raises(CommandError, match="m7"):
        run("deadletters", "drop", "--yes", "m0", "m7")
    assert letters.waiting == ["m0", "m1"]


@pytest.mark.parametrize("action", ["redrive", "drop"])
@pytest.mark.parametrize("which", [[], ["m0", "--all"]])
def test_which_dead_letters_must_be_said(letters, action, which):
    with pytest.raises(CommandError, match="--all"):
        run("deadletters", action, *which)
    assert letters.waiting == ["m0", "m1"]


@pytest.mark.parametrize(("answer", "left"), [("y", []), ("n", ["m0", "m1"]), ("", ["m0", "m1"])])
def test_dropping_asks_first(letters, monkeypatch, answer, left):
    monkeypatch.setattr("builtins.input", lambda: answer)
    if left:
        with pytest.raises(CommandError, match="Nothing was dropped"):
            run("deadletters", "drop", "--all")
    else:
        assert run("deadletters", "drop", "--all").endswith("2 dropped.\n")
    assert letters.waiting == left


def test_without_a_terminal_nothing_is_dropped_unless_told_yes(letters, monkeypatch):
    def closed():
        raise EOFError

    monkeypatch.setattr("builtins.input", closed)
    with pytest.raises(CommandError, match="Nothing was dropped"):
        run("deadletters", "drop", "m0")
    assert run("deadletters", "drop", "m0", "--yes") == "1 dropped.\n"
    assert letters.waiting == ["m1"]


def test_a_queue_out_of_reach_is_one_clear_line(letters):
    letters.down = True
    with pytest.raises(CommandError, match=r"^SQS can't be reached\.$"):
        run("deadletters", "list")


def test_a_deployment_without_a_dead_letter_queue_is_told_what_to_set():
    get_dead_letters.cache_clear()
    with pytest.raises(CommandError, match="set REMOTION_SQS_DLQ_URL"):
        run("deadletters", "list")


def test_a_pause_keeps_an_export_waiting_until_renders_are_resumed(queue, export, project, user):
    assert "are paused" in run("renders", "pause", "--reason", "bad deploy", "--by", "ada")
    ExportRequest.objects.update(slot=None, user_slot=None, due_at=None, rank=timezone.now())
    assert "paused by ada since" in run("renders", "status")
    assert "were paused already: paused by ada" in run("renders", "pause", "--by", "eve")
    assert queue.messages == []
    assert run("renders", "resume") == "Renders go on. Slots given at once: 1.\n"
    assert not Pause.objects.exists()
    assert len(queue.messages) == 1


def test_who_pauses_is_the_shells_user_unless_said_otherwise(db, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "grace")
    run("renders", "pause")
    assert Pause.objects.get().by == "grace"


def test_the_status_counts_what_renders_waits_and_is_late(export, project, user):
    now = timezone.now()
    ExportRequest.objects.update(due_at=now - timedelta(minutes=1))
    waiting = {
        "project": project,
        "user": user,
        "title": "T",
        "codec": "h264",
        "created_at": now,
        "updated_at": now,
    }
    queued_at = now - timedelta(hours=1)
    ExportRequest.objects.create(**waiting, queued_at=queued_at, rank=now)
    ExportRequest.objects.create(**waiting, queued_at=now)
    seen = json.loads(run("renders", "status", "--json"))
    assert seen == {
        "paused": False,
        "pausedBy": None,
        "pausedSince": None,
        "pauseReason": None,
        "slots": 10,
        "slotsTaken": 1,
        "waiting": 2,
        "usersInLine": 1,
        "oldestQueuedAt": queued_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "late": 1,
    }
    text = run("renders", "status")
    assert "slots taken      1 of 10" in text
    assert "oldest wait      360" in text
    assert "due late         1 (for more than 30 s: is a sweeper running?)" in text

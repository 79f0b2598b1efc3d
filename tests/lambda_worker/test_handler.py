"""The entry point: what happens to a message."""

import json
from dataclasses import dataclass

import pytest

from lambda_worker import handler, render
from lambda_worker.contract import RenderProgress, RenderStarted
from lambda_worker.settings import SettingsError
from tests.lambda_worker.conftest import MESSAGE_ID, TOKEN, event, invocation, message
from tests.lambda_worker.test_contract import KEY, RENDER
from tests.lambda_worker.world import Break, Reply, lambda_error, running

DONE: dict[str, list[str]] = {"batchItemFailures": []}
KEPT = {"batchItemFailures": [{"itemIdentifier": MESSAGE_ID}]}


@dataclass
class Context:
    aws_request_id: str = TOKEN
    memory_limit_in_mb: int = 512

    def get_remaining_time_in_millis(self) -> int:
        return 150_000


@pytest.fixture
def fresh():
    """A worker of its own for the test, as after a cold start."""
    handler._worker.cache_clear()
    yield
    handler._worker.cache_clear()


@pytest.mark.usefixtures("fresh")
def test_the_function_takes_a_start_and_a_poll_from_the_queue(world):
    assert handler.handler(event(message("start", world)), Context()) == DONE
    assert handler.handler(event(message("poll", world, renderId="render0")), Context()) == DONE
    claim, first, second = world.api.delivered
    assert isinstance(claim, RenderStarted)
    assert isinstance(first, RenderProgress)
    assert isinstance(second, RenderProgress)
    assert (claim.token, first.token, second.token) == (TOKEN, TOKEN, None)
    # The claim is never the last webhook of an invocation that goes on to use much.
    assert claim.worker is None
    for last in (first, second):
        assert last.worker is not None
        assert last.worker.memory_mb == 512
        assert 0 < last.worker.ms < 60_000


@pytest.mark.usefixtures("fresh")
def test_a_function_without_its_settings_says_which(world, monkeypatch):
    monkeypatch.delenv("REMOTION_BUCKET")
    with pytest.raises(SettingsError, match="REMOTION_BUCKET"):
        handler.handler(event(message("start", world)), Context())


def test_an_event_of_several_records_keeps_only_those_that_failed(world, worker):
    # The mapping has a batch size of 1; a larger one shall not lose anything.
    both = event(message("poll", world))
    both["Records"].append({**both["Records"][0], "messageId": "second", "body": "unreadable"})
    world.sqs.script.extend([lambda_error(403, "AccessDenied")])
    result = worker.handle(both, invocation=invocation())
    assert result == {"batchItemFailures": [{"itemIdentifier": "second"}]}


# --- Unreadable messages ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "RENDER_AUDIO"}, "type must be RENDER_VIDEO"),
        ({"action": "rewind"}, "action must be one of start, poll"),
        ({"version": None}, "version must be a whole number"),
        ({"codec": "av2"}, "codec must be one of h264, h265"),
    ],
)
def test_a_message_that_cannot_be_read_is_put_on_the_dead_letter_queue_with_the_reason(
    world, take, change, reason, log_text, capsys
):
    body = message("start", world, **change)
    assert take(body) == DONE
    [sent] = world.sqs.sent
    assert sent.queue_url == f"{world.url}/123456789012/remotion-render-queue-dlq"
    assert sent.body == body
    assert sent.attributes.keys() == {"reason"}
    assert sent.attributes["reason"].startswith(reason)
    assert world.api.tries == []
    [line] = [json.loads(line) for line in log_text().splitlines()]
    assert (line["message"], line["message_id"]) == ("message.dead_lettered", MESSAGE_ID)
    assert line["reason"].startswith(reason)
    assert '"DeadLettered":[1.0]' in capsys.readouterr().out


@pytest.mark.parametrize(
    "body", ["no JSON", "{", "[]", "{" * 10_000, '{"type": "RENDER_VIDEO"}', "\ud83c\udfac"]
)
def test_text_of_any_kind_is_set_aside(world, take, body):
    assert take(body) == DONE
    [sent] = world.sqs.sent
    assert sent.attributes["reason"]


def test_the_body_of_an_unreadable_message_is_not_logged(take, log_text):
    take('{"type": "RENDER_VIDEO", "action": "start", "renderConfig": {"inputProps": {"salary": 4711}}}')
    assert "4711" not in log_text()


@pytest.mark.parametrize("outcome", [lambda_error(403, "AccessDenied"), Break(), Reply(503)])
def test_a_message_that_can_be_neither_read_nor_set_aside_stays_on_the_queue(
    world, take, outcome, monkeypatch
):
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda pause_s: None)
    world.sqs.script.extend([outcome] * 3)
    assert take("unreadable") == KEPT
    assert world.sqs.sent == []


# --- A defect of the worker ---------------------------------------------------------------------------------


def test_a_message_on_which_the_worker_crashes_stays_on_the_queue(world, take, monkeypatch, log_text, capsys):
    def crash(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(render, "poll", crash)
    assert take(message("poll", world)) == KEPT
    [line] = [json.loads(line) for line in log_text().splitlines()]
    assert (line["message"], line["exception_name"]) == ("worker.crashed", "ZeroDivisionError")
    assert '"Crashes":[1.0]' in capsys.readouterr().out


def test_one_messages_keys_do_not_stay_in_the_log_of_the_next(world, take, log_text):
    world.remotion.renders[RENDER] = running()
    take(message("poll", world))
    take("unreadable")
    first, second = [json.loads(line) for line in log_text().splitlines()]
    assert "export_id" in first
    assert not {"export_id", "correlation_id", "attempt"} & second.keys()


# --- Time ---------------------------------------------------------------------------------------------------


def test_a_claim_leaves_enough_time_to_start_and_to_report():
    assert invocation().time_left_s() == 148.0
    assert invocation().time_left_before_start_s() == 63.0
    assert invocation().time_left_before_still_s() == 33.0


@pytest.mark.parametrize(
    ("changes", "extension"),
    [({"codec": "vp8"}, ".webm"), ({"codec": "vp8", "audioCodec": "pcm-16"}, ".mkv")],
)
def test_the_output_of_a_poll_without_a_key_is_told_from_the_codecs(world, take, changes, extension):
    world.remotion.renders[RENDER] = {"type": "success", "done": True}
    take(message("poll", world, **changes))
    [webhook] = world.api.delivered
    assert webhook.output_key == KEY.replace(".mp4", extension)

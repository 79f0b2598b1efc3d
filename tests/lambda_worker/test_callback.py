"""How a webhook is delivered, or isn't."""

import json
import socket
from collections.abc import Callable, Iterator

import pytest

from lambda_worker.callback import MAX_TRIES, Callback
from lambda_worker.contract import Action, Answer, RenderProgress, RenderStarted, RenderThrottled
from tests.lambda_worker.conftest import TOKEN, Clock
from tests.lambda_worker.world import SECRET, Break, Outcome, Reply, Silence, World

CLAIM = RenderStarted(export_id="0193", attempt=1, token=TOKEN, version=2)
THROTTLED = RenderThrottled(export_id="0193", attempt=1, token=TOKEN)


@pytest.fixture
def url(world: World) -> str:
    return f"{world.url}/api/exports/webhook"


@pytest.fixture
def refusing_url() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/api/exports/webhook"


def plenty() -> float:
    return 100.0


def test_the_answer_is_returned(world, callback, url):
    assert callback.post(url, CLAIM, time_left_s=plenty) == Answer(action=Action.RENDER)
    assert world.api.delivered == [CLAIM]


def test_an_answer_without_an_action_is_one(callback, url):
    assert callback.post(url, THROTTLED, time_left_s=plenty) == Answer()


@pytest.mark.parametrize("outcome", [Reply(500), Reply(503), Reply(408), Reply(429), Break()])
def test_what_may_pass_is_tried_again(world, callback, url, outcome: Outcome):
    world.api.script.extend([outcome] * (MAX_TRIES - 1))
    assert callback.post(url, CLAIM, time_left_s=plenty) == Answer(action=Action.RENDER)
    assert len(world.api.tries) == MAX_TRIES


def test_an_answer_that_does_not_come_in_time_is_asked_for_again(world, clock, url):
    callback = Callback(secret=SECRET, clock=clock.time, sleep=clock.sleep, uniform=lambda low, high: low)
    world.api.script.append(Silence())
    # The rest of the Lambda's time bounds the wait; a second is the least that makes sense.
    assert callback.post(url, CLAIM, time_left_s=lambda: 1.0) == Answer(action=Action.RENDER)
    assert len(world.api.tries) == 2


def test_each_try_has_the_same_id_and_a_timestamp_and_signature_of_its_own(world, callback, clock, url):
    world.api.script.extend([Reply(500)] * 3)
    start = clock.now
    callback.post(url, CLAIM, time_left_s=plenty)
    # The fake API has verified each signature over the body with its timestamp.
    assert len({each.id for each in world.api.tries}) == 1
    assert [each.timestamp - start for each in world.api.tries] == [0, 0.5, 1.5, 3.5]


def test_two_webhooks_have_two_ids(world, callback, url):
    callback.post(url, CLAIM, time_left_s=plenty)
    callback.post(url, CLAIM, time_left_s=plenty)
    assert len({each.id for each in world.api.tries}) == 2


def test_the_pauses_grow_with_full_jitter(world, clock, url):
    bounds: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        bounds.append((low, high))
        return high / 4

    callback = Callback(secret=SECRET, clock=clock.time, sleep=clock.sleep, uniform=uniform)
    world.api.script.extend([Reply(500)] * 4)
    callback.post(url, CLAIM, time_left_s=plenty)
    assert bounds[:4] == [(0, 0.5), (0, 1), (0, 2), (0, 4)]
    assert clock.pauses == [0.125, 0.25, 0.5, 1]


def test_after_five_tries_it_gives_up_and_is_counted(world, callback, clock, url, capsys):
    world.api.script.extend([Reply(503)] * (MAX_TRIES + 1))
    assert callback.post(url, CLAIM, time_left_s=plenty) is None
    assert len(world.api.tries) == MAX_TRIES
    assert len(clock.pauses) == MAX_TRIES - 1
    assert '"WebhooksUndelivered":[1.0]' in capsys.readouterr().out


def test_where_nobody_listens_it_tries_five_times_and_raises_nothing(callback, clock, refusing_url):
    assert callback.post(refusing_url, CLAIM, time_left_s=plenty) is None
    assert len(clock.pauses) == MAX_TRIES - 1


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/", "http://", "http://[::1", "no address at all"])
def test_an_address_that_is_none_raises_nothing(callback, address):
    assert callback.post(address, CLAIM, time_left_s=plenty) is None


@pytest.mark.parametrize("status", [400, 401, 403, 413, 422])
def test_a_final_answer_is_not_asked_for_again(world, callback, url, status, capsys):
    world.api.script.append(Reply(status))
    assert callback.post(url, CLAIM, time_left_s=plenty) is None
    assert len(world.api.tries) == 1
    assert '"WebhooksUndelivered":[1.0]' in capsys.readouterr().out


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(world, callback, url, status):
    world.api.script.append(Reply(status, headers={"Location": f"{world.url}/api/elsewhere"}))
    assert callback.post(url, CLAIM, time_left_s=plenty) is None
    assert [each.path for each in world.api.tries] == ["/api/exports/webhook"]


@pytest.mark.parametrize("action", [Action.SKIP, Action.CANCEL, None])
def test_an_unknown_export_is_answered_as_the_caller_wishes(world, callback, url, action, capsys):
    world.api.script.append(Reply(404))
    assert callback.post(url, CLAIM, time_left_s=plenty, on_unknown=action) == Answer(action=action)
    assert len(world.api.tries) == 1
    assert "WebhooksUndelivered" not in capsys.readouterr().out


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"action": "explode"}', b"{" * 100_000])
def test_a_delivered_webhook_whose_answer_says_nothing_is_delivered_all_the_same(world, callback, url, body):
    world.api.script.append(Reply(200, body))
    assert callback.post(url, CLAIM, time_left_s=plenty) == Answer()
    assert len(world.api.tries) == 1


def test_one_try_is_made_even_when_there_is_no_time_left(world, callback, url):
    assert callback.post(url, CLAIM, time_left_s=lambda: -5.0) == Answer(action=Action.RENDER)


def test_no_pause_goes_beyond_the_time_that_is_left(world, callback, clock, url):
    world.api.script.extend([Reply(500)] * MAX_TRIES)
    start = clock.now
    assert callback.post(url, CLAIM, time_left_s=lambda: 4.0 - (clock.now - start)) is None
    # A third pause, of 2 s, would leave less than the second that a try needs.
    assert clock.pauses == [0.5, 1]


def test_neither_secret_nor_token_nor_address_is_logged(
    world, callback, url, refusing_url, log_text: Callable[[], str]
):
    world.api.script.extend([Reply(500), Break(), Reply(401)])
    callback.post(url, CLAIM, time_left_s=plenty)
    callback.post(refusing_url, CLAIM, time_left_s=plenty)
    lines = [json.loads(line) for line in log_text().splitlines()]
    assert {line["message"] for line in lines} == {"webhook.retried", "webhook.undelivered"}
    assert not any(secret in log_text() for secret in (SECRET, TOKEN, "127.0.0.1"))


def test_the_body_is_json_and_signed_in_the_header(world, callback, url):
    progress = RenderProgress(export_id="0193", attempt=1, render_id="r", bucket_name="b", progress=0.5)
    callback.post(url, progress, time_left_s=plenty)
    assert world.api.delivered == [progress]


def test_the_clock_of_a_try_is_the_moment_of_its_signature(world, clock: Clock, callback, url):
    callback.post(url, CLAIM, time_left_s=plenty)
    assert world.api.tries[0].timestamp == clock.now

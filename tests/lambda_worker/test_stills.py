"""A still is finished when Remotion answers: claim, make once, report the end."""

import json

import pytest

from lambda_worker.contract import (
    Action,
    RenderCosts,
    RenderError,
    RenderStarted,
    RenderSuccess,
    RenderThrottled,
)
from tests.lambda_worker.conftest import TOKEN, message
from tests.lambda_worker.test_contract import EXPORT, USE
from tests.lambda_worker.world import BUCKET, Break, Reply, Silence, function_error, lambda_error

DONE: dict[str, list[str]] = {"batchItemFailures": []}
CLAIM = RenderStarted(export_id=EXPORT, attempt=1, token=TOKEN, version=2)
KEY = f"renders/export-{EXPORT}.png"


def test_a_finished_still_is_reported_with_its_file_and_what_it_cost(world, take):
    assert take(message("start_still", world)) == DONE
    success = RenderSuccess(
        export_id=EXPORT,
        attempt=1,
        render_id="still1",
        bucket_name=BUCKET,
        output_key=KEY,
        output_file=f"https://s3.eu-central-1.amazonaws.com/{BUCKET}/{KEY}",
        output_size_bytes=4_321,
        costs=RenderCosts(amount_usd=0.00004),
        worker=USE,
    )
    assert world.api.delivered == [CLAIM, success]
    assert len(world.remotion.stills) == 1
    assert world.remotion.starts == []


def test_a_still_is_not_made_without_a_claim(world, take):
    world.api.claim = Action.SKIP
    assert take(message("start_still", world)) == DONE
    assert world.remotion.stills == []


def test_a_still_that_fails_is_told_in_remotions_words_for_the_api_to_judge(world, take):
    words, stack = "The chart has no data to draw: {unbalanced", "Error: The chart …\n    at Chart.tsx:1"
    world.remotion.script.append(Reply(200, {"type": "error", "message": words, "stack": stack}))
    assert take(message("start_still", world)) == DONE
    _, error = world.api.delivered
    assert isinstance(error, RenderError)
    assert (error.token, error.code, error.retryable) == (TOKEN, None, None)
    assert (error.errors[0].message, error.errors[0].stack) == (words, stack)


def test_a_still_that_was_throttled_is_reported_as_put_off(world, take):
    world.remotion.script.append(lambda_error(429, "TooManyRequestsException"))
    take(message("start_still", world))
    assert world.api.delivered == [
        CLAIM,
        RenderThrottled(
            export_id=EXPORT, attempt=1, token=TOKEN, reason="TooManyRequestsException", worker=USE
        ),
    ]


@pytest.mark.parametrize(
    "outcome",
    [
        lambda_error(503, "ServiceUnavailable"),
        function_error("Task timed out after 900.00 seconds"),
        Reply(200, b'{"type": "success"}'),
        Break(),
        Silence(),
    ],
)
def test_a_still_of_which_nobody_knows_is_neither_reported_nor_made_again(world, take, outcome):
    world.remotion.script.append(outcome)
    assert take(message("start_still", world)) == DONE
    assert world.api.delivered == [CLAIM]
    assert len(world.remotion.stills) == 1


def test_an_end_whose_answer_was_lost_is_reported_again_and_made_once(world, take):
    world.api.script.extend([Reply(200, {"action": "render"}), Reply(503), Break()])
    assert take(message("start_still", world)) == DONE
    [success] = world.api.delivered
    assert isinstance(success, RenderSuccess)
    assert len(world.remotion.stills) == 1


def test_no_line_of_the_log_tells_a_stills_props(world, take, log_text):
    take(message("start_still", world))
    assert [json.loads(line)["message"] for line in log_text().splitlines()] == ["render.started"]
    assert "Q3" not in log_text()

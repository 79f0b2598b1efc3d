"""The poll step: one look, and one webhook or none."""

import json
import math

import pytest

from lambda_worker.contract import (
    RenderCosts,
    RenderError,
    RenderFailure,
    RenderProgress,
    RenderSuccess,
    RenderTimeout,
)
from tests.lambda_worker.conftest import message
from tests.lambda_worker.test_contract import BUCKET, EXPORT, FILE, KEY, RENDER, USE
from tests.lambda_worker.world import (
    SECRET,
    Break,
    Reply,
    Silence,
    error,
    failed,
    function_error,
    lambda_error,
    running,
)

DONE: dict[str, list[str]] = {"batchItemFailures": []}
COSTS = RenderCosts(amount_usd=0.00123)
TIMED_OUT = "The main function timed out after 900000ms.\nThe following chunks are missing …"


def of_the_render(kind, **values):
    return kind(export_id=EXPORT, attempt=1, worker=USE, render_id=RENDER, bucket_name=BUCKET, **values)


def finished(**changes):
    return running(
        done=True,
        overallProgress=1,
        outKey=KEY,
        outputFile=FILE,
        outputSizeInBytes=1_234_567,
        costs={"accruedSoFar": 0.00316, "displayCost": "$0.003", "currency": "USD", "disclaimer": "…"},
        **changes,
    )


@pytest.fixture
def report(world, take):
    """Poll a render that stands as given, and return the one webhook about it."""

    def report(answer):
        world.remotion.renders[RENDER] = answer
        assert take(message("poll", world)) == DONE
        [webhook] = world.api.delivered
        assert len(world.remotion.polls) == 1
        return webhook

    return report


# --- What a render can be -----------------------------------------------------------------------------------


def test_a_running_render_reports_its_progress_and_costs(report):
    assert report(running()) == of_the_render(RenderProgress, progress=0.5333333333333333, costs=COSTS)


def test_a_finished_render_reports_its_output(report):
    assert report(finished()) == of_the_render(
        RenderSuccess,
        output_key=KEY,
        output_file=FILE,
        output_size_bytes=1_234_567,
        costs=RenderCosts(amount_usd=0.00316),
    )


def test_a_finished_render_that_tells_little_is_finished_all_the_same(report):
    answer = {"type": "success", "done": True}
    assert report(answer) == of_the_render(RenderSuccess, output_key=KEY)


def test_a_failed_render_reports_remotions_own_words(report):
    assert report(failed("Boom")) == of_the_render(
        RenderError,
        errors=(RenderFailure(message="Boom", stack="Error: Boom\n    at render (index.js:1:1)"),),
        costs=COSTS,
    )


def test_an_error_after_which_a_chunk_was_tried_again_is_no_cause(report):
    listed = [
        error("Target closed", isFatal=False, willRetry=True),
        error("Target closed again", willRetry=True),
        error("Out of memory"),
    ]
    webhook = report(running(fatalErrorEncountered=True, errors=listed))
    assert [each.message for each in webhook.errors] == ["Out of memory"]


def test_an_error_after_which_a_chunk_was_tried_again_does_not_end_the_render(report):
    webhook = report(running(errors=[error("Target closed", isFatal=False, willRetry=True)]))
    assert isinstance(webhook, RenderProgress)


def test_a_failure_of_which_no_error_is_fatal_tells_all_it_has(report):
    webhook = report(running(fatalErrorEncountered=True, errors=[error("Odd", isFatal=False)]))
    assert [each.message for each in webhook.errors] == ["Odd"]


@pytest.mark.parametrize("errors", [None, [], "Boom", [None, "Boom", []]])
def test_a_failure_without_readable_errors_is_still_a_failure(report, errors):
    webhook = report(running(fatalErrorEncountered=True, errors=errors))
    assert webhook == of_the_render(RenderError, errors=(), costs=COSTS)


def test_the_functions_end_before_the_renders_is_a_timeout(report):
    webhook = report(failed(TIMED_OUT))
    assert webhook == of_the_render(RenderTimeout, costs=COSTS)


def test_the_timeout_that_is_added_to_an_older_failure_is_not_the_cause(report):
    webhook = report(failed(TIMED_OUT, "Boom"))
    assert [each.message for each in webhook.errors] == ["Boom"]


def test_a_function_that_ended_before_it_knew_the_composition_is_a_timeout(report):
    webhook = report(running(renderMetadata=None, currentTime=1_764_000_920_001))
    assert webhook == of_the_render(RenderTimeout, costs=COSTS)


@pytest.mark.parametrize(
    "changes",
    [
        {"currentTime": 1_764_000_920_000},
        {"currentTime": None},
        {"currentTime": 1_764_000_920_001, "timeoutTimestamp": None},
    ],
)
def test_a_function_that_does_not_know_the_composition_yet_may_still_run(report, changes):
    assert isinstance(report(running(renderMetadata=None, **changes)), RenderProgress)


def test_a_render_that_knows_its_composition_may_merge_beyond_the_first_functions_time(report):
    assert isinstance(report(running(currentTime=1_764_000_920_001)), RenderProgress)


# --- Odd numbers and long texts -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "fraction"),
    [
        (1.2, 1.0),
        (-0.1, 0.0),
        (None, 0.0),
        ("0.5", 0.0),
        (True, 0.0),
        (math.nan, 0.0),
        (10**400, 0.0),
        (1, 1.0),
    ],
)
def test_progress_lies_between_0_and_1(report, told, fraction):
    assert report(running(overallProgress=told)).progress == fraction


@pytest.mark.parametrize(
    "costs",
    [None, [], {}, {"accruedSoFar": 1.5, "currency": "CNY"}, {"accruedSoFar": "1", "currency": "USD"}],
)
def test_costs_that_are_not_in_dollars_are_left_out(report, costs):
    assert report(running(costs=costs)).costs is None


def test_long_errors_are_cut_so_that_the_webhook_is_not_refused(report):
    webhook = report(failed(*["x" * 100_000] * 20))
    assert len(webhook.errors) == 5
    assert max(len(each.message) + len(each.stack) for each in webhook.errors) == 6_000


def test_a_secret_in_an_error_goes_no_further(report, log_text):
    webhook = report(failed(f"fetch failed: {SECRET}"))
    assert webhook.errors[0].message == "fetch failed: [secret]"
    assert SECRET not in webhook.errors[0].stack
    assert "fetch failed" not in log_text()


# --- Where there is nothing to tell -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "outcome",
    [
        Reply(200, {"type": "error", "message": "No render with ID", "stack": ""}),
        Reply(200, {"type": "applause"}),
        Reply(200, b""),
        function_error("Task timed out after 900.00 seconds"),
        lambda_error(403, "AccessDeniedException"),
        lambda_error(404, "ResourceNotFoundException"),
    ],
)
def test_what_remotion_cannot_tell_is_not_reported(world, take, outcome, capsys):
    world.remotion.script.append(outcome)
    assert take(message("poll", world)) == DONE
    assert world.api.tries == []
    assert '"PollsFailed":[1.0]' in capsys.readouterr().out


def test_a_render_that_remotion_does_not_know_is_not_reported(world, take):
    assert take(message("poll", world)) == DONE
    assert world.api.tries == []


@pytest.mark.parametrize(
    "outcome", [lambda_error(429, "TooManyRequestsException"), Reply(500), Break(), Silence()]
)
def test_a_look_is_repeated_where_that_can_help(world, take, outcome, monkeypatch):
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda pause_s: None)
    world.remotion.renders[RENDER] = running()
    world.remotion.script.append(outcome)
    take(message("poll", world))
    assert [type(webhook) for webhook in world.api.delivered] == [RenderProgress]
    assert len(world.remotion.polls) == 2


def test_a_webhook_that_cannot_be_delivered_does_not_bring_the_message_back(world, take):
    world.remotion.renders[RENDER] = finished()
    world.api.script.extend([Reply(503)] * 5)
    assert take(message("poll", world)) == DONE


def test_a_poll_repeated_says_the_same_again(world, take):
    world.remotion.renders[RENDER] = finished()
    take(message("poll", world))
    take(message("poll", world))
    first, second = world.api.delivered
    assert first == second


def test_props_in_remotions_answer_are_not_logged(report, log_text):
    report(running(renderMetadata={"inputProps": {"type": "payload", "payload": '{"salary": 4711}'}}))
    assert [json.loads(line)["message"] for line in log_text().splitlines()] == ["poll.done"]
    assert "4711" not in log_text()

"""The start step: claim, start once, report."""

import json

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError

from lambda_worker.contract import (
    Action,
    RenderConfig,
    RenderError,
    RenderProgress,
    RenderStarted,
    RenderThrottled,
    StartMessage,
)
from lambda_worker.remotion import NotStartedError, Remotion, StartRefusedError
from lambda_worker.settings import Settings
from tests.lambda_worker.conftest import MESSAGE_ID, TOKEN, message
from tests.lambda_worker.test_contract import EXPORT, KEY, USE
from tests.lambda_worker.world import (
    BUCKET,
    FUNCTION,
    SECRET,
    Break,
    Reply,
    Silence,
    World,
    function_error,
    lambda_error,
)

DONE: dict[str, list[str]] = {"batchItemFailures": []}
CLAIM = RenderStarted(export_id=EXPORT, attempt=1, token=TOKEN, version=2)
REPORT = RenderProgress(
    export_id=EXPORT,
    attempt=1,
    worker=USE,
    render_id="render0",
    bucket_name=BUCKET,
    progress=0.0,
    token=TOKEN,
)


def cancellation(render_id: str) -> str:
    return f"/{BUCKET}/renders/{render_id}/cancel.json"


# --- The happy way ------------------------------------------------------------------------------------------


def test_a_granted_claim_starts_the_render_and_reports_it(world, take):
    assert take(message("start", world)) == DONE
    assert world.api.delivered == [CLAIM, REPORT]
    assert len(world.remotion.starts) == 1


def test_remotion_is_told_what_to_render_and_where_to_put_it(world, take):
    take(message("start", world))
    [request] = world.remotion.starts
    config = StartMessage.parse(json.loads(message("start", world))).render_config
    assert request["composition"] == "MainComposition"
    assert request["codec"] == "h264"
    assert request["serveUrl"] == config.serve_url
    assert request["inputProps"]["type"] == "payload"
    assert json.loads(request["inputProps"]["payload"]) == config.input_props
    assert (request["outName"]["bucketName"], request["outName"]["key"]) == (BUCKET, KEY)
    assert request["bucketName"] == BUCKET
    assert request["privacy"] == "private"
    assert request["enableCancellation"] is True
    assert request["logLevel"] == "warn"


def test_remotion_reports_to_the_same_address_with_the_shared_secret_in_ascii(world, take):
    take(message("start", world))
    [request] = world.remotion.starts
    assert request["webhook"] == {
        "url": f"{world.url}/api/exports/webhook",
        "secret": SECRET,
        "customData": {"exportId": EXPORT, "attempt": 1},
    }
    assert json.dumps(request["webhook"], ensure_ascii=False).isascii()


def test_a_later_attempt_has_an_output_of_its_own(world, take):
    take(message("start", world, attempt=3))
    assert world.remotion.starts[0]["outName"]["key"] == f"renders/export-{EXPORT}-3.mp4"


# --- The claim ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [Action.SKIP, Action.KEEP, Action.CANCEL, None])
def test_without_a_granted_claim_nothing_is_started(world, take, action):
    world.api.claim = action
    assert take(message("start", world)) == DONE
    assert world.remotion.starts == []
    assert world.api.delivered == [CLAIM]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404),
        Reply(401),
        Reply(302),
        Reply(200, b"<html>"),
        Reply(200, {"action": "go"}),
        Reply(204, b""),
    ],
)
def test_an_answer_that_grants_nothing_starts_nothing(world, take, reply):
    world.api.script.append(reply)
    assert take(message("start", world)) == DONE
    assert world.remotion.starts == []
    assert len(world.api.tries) == 1


@pytest.mark.parametrize("outcome", [Reply(500), Reply(503), Break()])
def test_an_api_that_cannot_be_reached_drops_the_message_and_starts_nothing(world, take, outcome):
    world.api.script.extend([outcome] * 5)
    assert take(message("start", world)) == DONE
    assert world.remotion.starts == []


def test_a_claim_whose_answer_was_lost_is_asked_again_and_starts_once(world, take):
    world.api.script.append(Break())
    assert take(message("start", world)) == DONE
    assert [each.webhook for each in world.api.tries] == [CLAIM, CLAIM, REPORT]
    assert len(world.remotion.starts) == 1


def test_a_message_delivered_twice_starts_once(world, take):
    take(message("start", world))
    world.api.claim = Action.SKIP
    take(message("start", world))
    assert len(world.remotion.starts) == 1


# --- The report ---------------------------------------------------------------------------------------------


def test_a_render_that_is_no_longer_wanted_is_cancelled(world, take):
    world.api.first_report = Action.CANCEL
    take(message("start", world))
    assert set(json.loads(world.s3.objects[cancellation("render0")])) == {"cancelledAt"}


def test_a_render_of_an_export_that_is_gone_is_cancelled(world, take):
    world.api.script.extend([Reply(200, {"action": "render"}), Reply(404)])
    take(message("start", world))
    assert cancellation("render0") in world.s3.objects


@pytest.mark.parametrize("action", [Action.KEEP, Action.SKIP, Action.RENDER, None])
def test_only_the_answer_to_cancel_cancels(world, take, action):
    world.api.first_report = action
    take(message("start", world))
    assert cancellation("render0") not in world.s3.objects


@pytest.mark.parametrize("outcome", [Reply(500), Reply(401), Break()])
def test_a_report_that_cannot_be_delivered_leaves_the_render_alone(world, take, outcome):
    world.api.script.append(Reply(200, {"action": "render"}))
    world.api.script.extend([outcome] * 5)
    assert take(message("start", world)) == DONE
    assert cancellation("render0") not in world.s3.objects
    assert len(world.remotion.starts) == 1


def test_a_cancellation_that_fails_fails_nothing_else(world, take, log_text):
    world.api.first_report = Action.CANCEL
    world.remotion.script.append(Reply(200, {"type": "success", "renderId": "gone", "bucketName": BUCKET}))
    assert take(message("start", world)) == DONE
    assert cancellation("gone") not in world.s3.objects
    assert '"render.cancel_failed"' in log_text()


# --- What surely has not started ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (lambda_error(429, "TooManyRequestsException", "Rate Exceeded."), "TooManyRequestsException"),
        (lambda_error(429, "SomethingNew"), "SomethingNew"),
        (lambda_error(400, "ThrottlingException"), "ThrottlingException"),
        (lambda_error(409, "ResourceConflictException"), "ResourceConflictException"),
        (
            Reply(
                200, {"type": "error", "message": "Rate Exceeded.", "stack": "TooManyRequestsException: …"}
            ),
            "TooManyRequestsException",
        ),
        (
            Reply(200, {"type": "error", "message": "ConcurrentInvocationLimitExceeded", "stack": ""}),
            "TooManyRequestsException",
        ),
    ],
)
def test_a_start_that_was_throttled_is_reported_as_put_off(world, take, reply, reason, capsys):
    world.remotion.script.append(reply)
    assert take(message("start", world)) == DONE
    throttled = RenderThrottled(export_id=EXPORT, attempt=1, worker=USE, token=TOKEN, reason=reason)
    assert world.api.delivered == [CLAIM, throttled]
    assert len(world.remotion.starts) == 1
    assert '"RendersThrottled":[1.0]' in capsys.readouterr().out


def test_a_start_without_a_connection_is_reported_as_put_off(world, take, monkeypatch):
    # The discard port: nobody listens there on loopback.
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:9")
    assert take(message("start", world)) == DONE
    throttled = RenderThrottled(
        export_id=EXPORT, attempt=1, worker=USE, token=TOKEN, reason="EndpointConnectionError"
    )
    assert world.api.delivered == [CLAIM, throttled]


class Unreachable:
    """A session whose clients raise instead of invoking; what a loopback server can't bring about."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def client(self, *_: object, **__: object) -> "Unreachable":
        return self

    def invoke(self, **_: object) -> None:
        raise self._error


def start_against(error: Exception) -> None:
    settings = Settings(
        region="eu-central-1",
        function_name=FUNCTION,
        bucket=BUCKET,
        dead_letter_queue_url="https://sqs",
        webhook_secret=SECRET,
    )
    config = RenderConfig(
        composition_id="Main",
        input_props={},
        codec="h264",
        serve_url="https://site",
        webhook_url="https://api",
    )
    session: object = Unreachable(error)
    remotion = Remotion(settings, session=session)  # type: ignore[arg-type]
    remotion.start(config, export_id=EXPORT, attempt=1, output_key=KEY)


def test_a_connection_that_was_never_made_has_started_nothing():
    with pytest.raises(NotStartedError, match="ConnectTimeoutError"):
        start_against(ConnectTimeoutError(endpoint_url="https://lambda"))


def test_without_credentials_nothing_is_started_and_nothing_will_be():
    with pytest.raises(StartRefusedError) as raised:
        start_against(NoCredentialsError())
    assert raised.value.code == "access_denied"


# --- What was refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "code", "text"),
    [
        (
            lambda_error(404, "ResourceNotFoundException", "Function not found"),
            "function_missing",
            "not found",
        ),
        (lambda_error(403, "AccessDeniedException", "not authorized"), "access_denied", "not authorized"),
        (lambda_error(401, "UnrecognizedClientException", "bad token"), "access_denied", "bad token"),
        (lambda_error(413, "RequestTooLargeException", "too large"), "props_too_large", "too large"),
        (lambda_error(400, "InvalidRequestContentException", "no JSON"), "start_refused", "no JSON"),
    ],
)
def test_a_start_that_lambda_refuses_is_an_error_that_no_retry_mends(world, take, reply, code, text, capsys):
    world.remotion.script.append(reply)
    assert take(message("start", world)) == DONE
    claim, error = world.api.delivered
    assert claim == CLAIM
    assert isinstance(error, RenderError)
    assert (error.token, error.code, error.retryable) == (TOKEN, code, False)
    assert text in error.errors[0].message
    assert len(world.remotion.starts) == 1
    assert '"StartsRefused":[1.0]' in capsys.readouterr().out


def test_an_error_that_the_function_answers_is_passed_on_in_its_own_words(world, take):
    words, stack = "Version mismatch: …", "Error: Version mismatch\n    at start.js:1"
    world.remotion.script.append(Reply(200, {"type": "error", "message": words, "stack": stack}))
    assert take(message("start", world)) == DONE
    _, error = world.api.delivered
    assert isinstance(error, RenderError)
    assert (error.token, error.code, error.retryable) == (TOKEN, None, None)
    assert (error.errors[0].message, error.errors[0].stack) == (words, stack)


def test_a_secret_that_remotion_quotes_in_an_error_goes_no_further(world, take, log_text):
    # "Payload is too big: … Payload: {…}" of @remotion/lambda-client quotes the webhook's secret.
    quoted = f'Payload is too big: {{"webhook":{{"secret":"{SECRET}"}}}}'
    world.remotion.script.append(Reply(200, {"type": "error", "message": quoted, "stack": quoted}))
    take(message("start", world))
    _, error = world.api.delivered
    assert isinstance(error, RenderError)
    assert error.errors[0].message == 'Payload is too big: {"webhook":{"secret":"[secret]"}}'
    assert SECRET not in error.errors[0].stack
    assert SECRET not in log_text()


def test_a_site_without_an_address_is_refused(world, take):
    take(message("start", world, serveUrl=" "))
    _, error = world.api.delivered
    assert isinstance(error, RenderError)
    assert (error.code, error.retryable) == ("start_refused", False)
    assert world.remotion.starts == []


# --- What nobody knows --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "outcome",
    [
        lambda_error(500, "ServiceException"),
        lambda_error(502, "EC2UnexpectedException"),
        lambda_error(503, "ServiceUnavailable"),
        lambda_error(408, "RequestTimeout"),
        function_error("RequestId: 1 Error: Runtime exited with error: signal: killed"),
        Reply(200, {"errorType": "Error", "errorMessage": "Unhandled"}),
        Reply(200, {"type": "error", "message": "half an answer"}, {"X-Amz-Function-Error": "Unhandled"}),
        Reply(200, b""),
        Reply(200, b"null"),
        Reply(200, b'{"type": "success"'),
        Reply(200, b"\xff"),
        Reply(200, b'{"a":' * 100_000),
        Reply(200, {"type": "success"}),
        Reply(200, {"type": "success", "renderId": None, "bucketName": BUCKET}),
        Break(),
        Silence(),
    ],
)
def test_a_start_of_which_nobody_knows_is_neither_reported_nor_repeated(world, take, outcome, capsys):
    world.remotion.script.append(outcome)
    assert take(message("start", world)) == DONE
    assert world.api.delivered == [CLAIM]
    assert len(world.remotion.starts) == 1
    assert '"StartsUnknown":[1.0]' in capsys.readouterr().out


# --- Log ----------------------------------------------------------------------------------------------------


def test_every_line_tells_whose_it_is_and_no_secret(world, take, log_text):
    take(message("start", world))
    lines = [json.loads(line) for line in log_text().splitlines()]
    assert [line["message"] for line in lines] == ["render.started"]
    assert all(
        (line["export_id"], line["correlation_id"], line["attempt"], line["message_id"])
        == (EXPORT, EXPORT, 1, MESSAGE_ID)
        for line in lines
    )
    assert not any(secret in log_text() for secret in (SECRET, TOKEN, "bersicht", "ff5722"))


def test_a_start_is_counted(world: World, take, capsys):
    take(message("start", world))
    assert '"RendersStarted":[1.0]' in capsys.readouterr().out


def test_an_error_of_lambda_without_a_code_is_judged_by_its_status():
    error = ClientError({"ResponseMetadata": {"HTTPStatusCode": 403}}, "Invoke")  # type: ignore[typeddict-item]
    with pytest.raises(StartRefusedError) as raised:
        start_against(error)
    assert raised.value.code == "access_denied"

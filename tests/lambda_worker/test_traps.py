"""The traps of Remotion Lambda and its Python client; each test fails where the guard is taken away."""

import json

import pytest
from botocore.config import Config
from remotion_lambda import RemotionClient
from remotion_lambda.exception import RemotionException

from lambda_worker.contract import RenderError, RenderFailure, RenderProgress, RenderStarted
from tests.lambda_worker.conftest import message
from tests.lambda_worker.test_contract import BUCKET, KEY, RENDER
from tests.lambda_worker.world import FUNCTION, Break, Reply, Silence, failed, lambda_error, running

BRACES = ["reading '{'", "reading '}'", "}}}", "{{{", 'a "quoted" { and \\', '{"type":"success","done":true}']


# --- 1: botocore repeats a request that got no answer, and each start is paid for ---------------------------


@pytest.mark.parametrize(
    "outcome", [Silence(), Break(), Reply(500), lambda_error(429, "TooManyRequestsException")]
)
def test_a_start_is_one_request_whatever_comes_of_it(world, take, outcome, monkeypatch):
    # Even where the environment asks for more.
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "5")
    world.remotion.script.append(outcome)
    take(message("start", world))
    assert len(world.remotion.starts) == 1


# --- 2: the client counts braces inside strings -------------------------------------------------------------


@pytest.fixture
def client(world):
    client = RemotionClient(
        region="eu-central-1",
        serve_url="https://site",
        function_name=FUNCTION,
        config=Config(retries={"total_max_attempts": 1}),
    )
    return client.get_render_progress


@pytest.mark.parametrize("text", BRACES[:4])
def test_the_clients_own_parser_fails_on_an_unbalanced_brace(world, client, text):
    world.remotion.renders[RENDER] = failed(text)
    with pytest.raises(RemotionException):
        client(RENDER, BUCKET)


@pytest.mark.parametrize("text", BRACES)
def test_an_error_text_with_braces_is_reported_as_it_is(world, take, text):
    world.remotion.renders[RENDER] = failed(text)
    take(message("poll", world))
    [webhook] = world.api.delivered
    assert isinstance(webhook, RenderError)
    assert webhook.errors == (
        RenderFailure(message=text, stack=f"Error: {text}\n    at render (index.js:1:1)"),
    )


@pytest.mark.parametrize("text", BRACES)
def test_a_start_refused_with_braces_is_reported_as_it_is(world, take, text):
    world.remotion.script.append(Reply(200, {"type": "error", "message": text, "stack": ""}))
    take(message("start", world))
    _, webhook = world.api.delivered
    assert isinstance(webhook, RenderError)
    assert webhook.errors == (RenderFailure(message=text),)


def test_the_last_object_of_a_streamed_answer_counts(world, take):
    world.remotion.script.append(Reply(200, b'\n{"keep":"alive"}  ' + json.dumps(running()).encode() + b"\n"))
    take(message("poll", world))
    assert [type(webhook) for webhook in world.api.delivered] == [RenderProgress]


# --- 3: without overwriting, a file that is there already fails the render ----------------------------------


def test_a_launch_that_lambda_runs_twice_does_not_fail_on_its_own_file(world, take):
    world.s3.objects[f"/{BUCKET}/{KEY}"] = b"the first run's film"
    take(message("start", world))
    take(message("poll", world, renderId="render0"))
    assert isinstance(world.api.delivered[-1], RenderProgress)


# --- 4: some options are sent in snake_case, which the function ignores -------------------------------------


def snake_case(data):
    if isinstance(data, dict):
        for key, value in data.items():
            if "_" in key and value is not None:
                yield key
            yield from snake_case(value)
    elif isinstance(data, list):
        for item in data:
            yield from snake_case(item)


def test_nothing_that_is_asked_for_goes_out_under_a_name_that_remotion_ignores(world, take):
    take(message("start", world))
    [request] = world.remotion.starts
    assert list(snake_case(request)) == []
    assert request["outName"] == {"bucketName": BUCKET, "key": KEY, "s3_output_provider": None}


# --- 5: the client stores large props in a bucket of its own choice -----------------------------------------


@pytest.mark.parametrize(
    "props",
    [
        {"text": "x" * 194_000},
        {"text": "é" * 33_000},  # 6 bytes each, as the client writes them
        {"text": '"' * 70_000},  # each escaped twice on the way to the launch
    ],
)
def test_props_that_are_too_large_are_refused_before_the_client_sees_them(world, take, props):
    take(message("start", world, inputProps=props))
    claim, error = world.api.delivered
    assert isinstance(claim, RenderStarted)
    assert isinstance(error, RenderError)
    assert (error.code, error.retryable) == ("props_too_large", False)
    assert world.remotion.starts == []
    assert world.s3.objects == {}


def test_props_of_the_size_that_the_api_admits_are_sent_inline(world, take):
    take(message("start", world, inputProps={"text": "x" * 189_000}))
    assert world.remotion.starts[0]["inputProps"]["type"] == "payload"


# --- 6: NaN passes for JSON, and the client writes into what it is given ------------------------------------


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_props_that_are_no_json_never_reach_remotion(world, take, number):
    take(message("start", world).replace("12.5", number))
    assert world.remotion.starts == []
    assert world.api.tries == []
    assert len(world.sqs.sent) == 1


def test_two_starts_of_one_worker_each_send_their_own(world, take):
    take(message("start", world, inputProps={"title": "one"}, serveUrl="https://site/one"))
    take(message("start", world, inputProps={"title": "two"}, serveUrl="https://site/two", attempt=2))
    told = [
        (json.loads(each["inputProps"]["payload"]), each["serveUrl"], each["outName"]["key"])
        for each in world.remotion.starts
    ]
    assert told == [
        ({"title": "one"}, "https://site/one", KEY),
        ({"title": "two"}, "https://site/two", KEY.replace(".mp4", "-2.mp4")),
    ]


# --- 7: progress can go backwards ---------------------------------------------------------------------------


def test_progress_that_goes_backwards_is_reported_as_it_is(world, take):
    # The worker remembers nothing; it is the API that takes progress only upwards.
    for fraction in (0.6, 0.4):
        world.remotion.renders[RENDER] = running(overallProgress=fraction)
        take(message("poll", world))
    assert [webhook.progress for webhook in world.api.delivered] == [0.6, 0.4]

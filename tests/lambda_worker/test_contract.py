"""The contract against the golden files, and against garbage."""

import json
import typing
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_worker import contract
from lambda_worker.contract import (
    Action,
    Answer,
    ContractError,
    DownloadBehavior,
    PollMessage,
    RenderConfig,
    RenderCosts,
    RenderError,
    RenderFailure,
    RenderOptions,
    RenderProgress,
    RenderStarted,
    RenderSuccess,
    RenderThrottled,
    RenderTimeout,
    StartMessage,
    WorkerUse,
)
from lambda_worker.wire import Short, Wire
from tests.lambda_worker import golden

EXPORT = "01936f5e-7b8a-7c3d-9e2f-4a5b6c7d8e9f"
RENDER = "8hfxlw5kz1"
BUCKET = "remotionlambda-renderhub-123456789012-eu-central-1"
TOKEN = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
KEY = f"renders/export-{EXPORT}.mp4"
USE = WorkerUse(ms=143, memory_mb=512)
FILE = f"https://s3.eu-central-1.amazonaws.com/{BUCKET}/{KEY}"

SITE = f"https://{BUCKET}.s3.eu-central-1.amazonaws.com/sites/main/index.html"
OPTIONS = RenderOptions(
    scale=0.5,
    crf=28,
    jpeg_quality=90,
    image_format="jpeg",
    audio_codec="pcm-16",
    frame_range=(30, None),
    every_nth_frame=2,
    muted=False,
    pixel_format="yuv420p",
    x264_preset="veryfast",
    frames_per_lambda=40,
    fps=25.0,
    width=1280,
    height=720,
    duration_in_frames=300,
    timeout_in_milliseconds=60_000,
    download_behavior=DownloadBehavior(type="download", file_name="Q3.mkv"),
)


def start(config: RenderConfig) -> StartMessage:
    return StartMessage(
        export_id=EXPORT,
        project_id="01936f5d-1a2b-7c3d-8e4f-5a6b7c8d9e0f",
        user_id="42",
        attempt=1,
        version=2,
        render_config=config,
    )


MESSAGES: dict[str, contract.Message] = {
    "start_options": start(
        RenderConfig(
            composition_id="MainComposition",
            input_props={"title": "Q3"},
            codec="h264",
            serve_url=SITE,
            webhook_url="https://renderhub.example.com/api/exports/webhook",
            render_options=OPTIONS,
        )
    ),
    "start_still": start(
        RenderConfig(
            composition_id="MainComposition",
            input_props={"title": "Q3"},
            codec="png",
            serve_url=SITE,
            webhook_url="https://renderhub.example.com/api/exports/webhook",
            frame=-1,
            render_options=RenderOptions(scale=2.0),
        )
    ),
    "start": start(
        RenderConfig(
            composition_id="MainComposition",
            input_props={
                "title": "Übersicht 2026",
                "accentColor": "#ff5722",
                "values": [{"label": "Q1", "value": 12.5}, {"label": "Q2", "value": 18}],
            },
            codec="h264",
            serve_url=SITE,
            webhook_url="https://renderhub.example.com/api/exports/webhook",
        )
    ),
    "poll": PollMessage(
        export_id=EXPORT,
        project_id="01936f5d-1a2b-7c3d-8e4f-5a6b7c8d9e0f",
        user_id="42",
        attempt=1,
        version=4,
        codec="h264",
        render_id=RENDER,
        bucket_name=BUCKET,
        webhook_url="https://renderhub.example.com/api/exports/webhook",
    ),
}

WEBHOOKS: dict[str, contract.Webhook] = {
    "render_started": RenderStarted(export_id=EXPORT, attempt=1, token=TOKEN, version=2),
    "render_progress_first": RenderProgress(
        export_id=EXPORT, attempt=1, worker=USE, render_id=RENDER, bucket_name=BUCKET, token=TOKEN
    ),
    "render_progress": RenderProgress(
        export_id=EXPORT,
        attempt=1,
        worker=USE,
        render_id=RENDER,
        bucket_name=BUCKET,
        progress=0.5333333333333333,
        costs=RenderCosts(amount_usd=0.00123),
    ),
    "render_throttled": RenderThrottled(
        export_id=EXPORT, attempt=1, worker=USE, token=TOKEN, reason="TooManyRequestsException"
    ),
    "render_success": RenderSuccess(
        export_id=EXPORT,
        attempt=1,
        worker=USE,
        render_id=RENDER,
        bucket_name=BUCKET,
        output_key=KEY,
        output_file=FILE,
        output_size_bytes=1_234_567,
        costs=RenderCosts(amount_usd=0.00316),
    ),
    "render_error": RenderError(
        export_id=EXPORT,
        attempt=1,
        worker=USE,
        render_id=RENDER,
        bucket_name=BUCKET,
        errors=(
            RenderFailure(
                message="Cannot read properties of undefined (reading '{')",
                stack="TypeError: Cannot read properties of undefined (reading '{')\n"
                "    at MainComposition (bundle.js:1:2345)",
            ),
        ),
        costs=RenderCosts(amount_usd=0.00042),
    ),
    "render_error_at_start": RenderError(
        export_id=EXPORT,
        attempt=1,
        worker=USE,
        token=TOKEN,
        errors=(RenderFailure(message="ResourceNotFoundException: Function not found"),),
        code="function_missing",
        retryable=False,
    ),
    "render_timeout": RenderTimeout(
        export_id=EXPORT,
        attempt=1,
        worker=USE,
        render_id=RENDER,
        bucket_name=BUCKET,
        costs=RenderCosts(amount_usd=0.05),
    ),
}


# --- Golden files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MESSAGES)
def test_a_golden_message_is_read_as_what_it_means(name):
    assert contract.parse_message(golden.read(name).decode()) == MESSAGES[name]


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_written_as_its_golden_file(name):
    assert json.loads(contract.dump_message(MESSAGES[name])) == golden.load(name)


@pytest.mark.parametrize("name", WEBHOOKS)
def test_a_golden_webhook_is_read_as_what_it_means(name):
    envelope, data = contract.parse_envelope(golden.read(name))
    assert contract.parse_webhook(data) == WEBHOOKS[name]
    assert (envelope.id, envelope.timestamp, envelope.type) == (data["id"], data["timestamp"], data["type"])


@pytest.mark.parametrize("name", WEBHOOKS)
def test_a_webhook_is_written_as_its_golden_file(name):
    expected = golden.load(name)
    body = contract.dump_webhook(WEBHOOKS[name], id=expected["id"], timestamp=expected["timestamp"])
    assert json.loads(body) == expected


@pytest.mark.parametrize("action", Action)
def test_a_golden_answer_carries_its_action(action):
    answer = contract.parse_answer(golden.read(f"answer_{action}"))
    assert answer == Answer(action=action)
    assert answer.dump() == golden.load(f"answer_{action}")


def test_an_answer_may_ask_for_nothing():
    assert contract.parse_answer(golden.read("answer_none")) == Answer()


def test_every_golden_file_belongs_to_the_contract():
    remotion = {"remotion_success", "remotion_error", "remotion_timeout"}
    answers = {f"answer_{action}" for action in Action} | {"answer_none"}
    names = remotion | answers | MESSAGES.keys() | WEBHOOKS.keys()
    assert {path.stem for path in golden.GOLDEN.iterdir()} == names


# --- Remotion's own webhooks --------------------------------------------------------------------------------


def test_the_success_of_remotion_is_read_as_the_workers():
    assert contract.parse_remotion_webhook(golden.read("remotion_success")) == RenderSuccess(
        export_id=EXPORT,
        attempt=1,
        render_id=RENDER,
        bucket_name=BUCKET,
        output_file=FILE,
        costs=RenderCosts(amount_usd=0.00316),
    )


def test_the_error_of_remotion_is_read_as_the_workers():
    failure = golden.load("remotion_error")["errors"][0]
    assert contract.parse_remotion_webhook(golden.read("remotion_error")) == RenderError(
        export_id=EXPORT,
        attempt=1,
        render_id=RENDER,
        bucket_name=BUCKET,
        errors=(RenderFailure(message=failure["message"], stack=failure["stack"]),),
    )


def test_the_timeout_of_remotion_is_read_as_the_workers():
    assert contract.parse_remotion_webhook(golden.read("remotion_timeout")) == RenderTimeout(
        export_id=EXPORT, attempt=1, render_id=RENDER, bucket_name=BUCKET
    )


def test_a_webhook_of_remotion_of_an_unknown_type_is_nothing():
    body = json.dumps({**golden.load("remotion_timeout"), "type": "applause"}).encode()
    assert contract.parse_remotion_webhook(body) is None


@pytest.mark.parametrize(
    "custom_data", [None, {}, {"exportId": EXPORT}, {"exportId": EXPORT, "attempt": "1"}]
)
def test_a_webhook_of_a_render_that_is_not_the_workers_is_refused(custom_data):
    body = json.dumps({**golden.load("remotion_success"), "customData": custom_data}).encode()
    with pytest.raises(ContractError, match="customData"):
        contract.parse_remotion_webhook(body)


# --- What a message or webhook may not be -------------------------------------------------------------------


def test_unknown_fields_are_ignored():
    data = {**golden.load("poll"), "addedLater": {"deep": [1]}}
    assert contract.parse_message(json.dumps(data)) == MESSAGES["poll"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "RENDER_AUDIO"}, "type must be RENDER_VIDEO"),
        ({"type": ["RENDER_VIDEO"]}, "type must be RENDER_VIDEO"),
        ({"action": "stop"}, "action must be one of start, poll"),
        ({"action": None}, "action must be one of start, poll"),
        ({"attempt": True}, "attempt must be a whole number"),
        ({"attempt": 1.0}, "attempt must be a whole number"),
        ({"exportId": None}, "exportId must be a string"),
        ({"renderConfig": []}, "renderConfig must be an object"),
        (
            {"renderConfig": {**golden.load("start")["renderConfig"], "inputProps": []}},
            "inputProps must be an object",
        ),
        ({"renderConfig": {}}, r"renderConfig\.compositionId is missing"),
    ],
)
def test_a_malformed_message_is_refused_by_the_name_of_its_field(change, reason):
    with pytest.raises(ContractError, match=reason):
        contract.parse_message(json.dumps({**golden.load("start"), **change}))


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "7", '"RENDER_VIDEO"', "{", '{"type": "RENDER_VIDEO"', "[" * 200_000, "1" * 5_000],
)
def test_text_that_is_no_json_object_is_refused(text):
    with pytest.raises(ContractError):
        contract.parse_message(text)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_a_number_that_json_does_not_know_is_refused(number):
    text = golden.read("start").decode().replace("12.5", number)
    with pytest.raises(ContractError, match="no JSON"):
        contract.parse_message(text)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("render_started", "attempt", 0),
        ("render_started", "attempt", 2**31),
        ("render_started", "version", -1),
        ("render_started", "version", 2**31),
        ("render_started", "token", "t" * 101),
        ("render_started", "token", "t\0"),
        ("render_progress", "renderId", "\ud800"),
        ("render_progress", "bucketName", "b" * 101),
        ("render_progress", "progress", -0.1),
        ("render_progress", "progress", 1.1),
        ("render_progress", "progress", float("nan")),
        ("render_progress", "costs", {"amountUsd": -1}),
        ("render_progress", "costs", {"amountUsd": 1e300}),
        ("render_progress", "worker", {"ms": -1, "memoryMb": 512}),
        ("render_progress", "worker", {"ms": 900_001, "memoryMb": 512}),
        ("render_progress", "worker", {"ms": 1, "memoryMb": 127}),
        ("render_progress", "worker", {"ms": 1.5, "memoryMb": 512}),
        ("render_success", "outputSizeBytes", -1),
        ("render_success", "outputSizeBytes", 2**63),
    ],
)
def test_a_value_that_no_database_keeps_is_refused_by_the_name_of_its_field(name, field, value):
    with pytest.raises(ContractError, match=f"^{field}.* must be"):
        contract.parse_webhook({**golden.load(name), field: value})


@pytest.mark.parametrize("attempt", [0, 2**31])
def test_the_same_holds_of_what_remotion_sends_back(attempt):
    data = golden.load("remotion_success")
    data["customData"]["attempt"] = attempt
    with pytest.raises(ContractError, match=r"^customData\.attempt must be"):
        contract.parse_remotion_webhook(json.dumps(data).encode())


def test_a_whole_number_too_large_for_a_float_is_refused():
    data = {**golden.load("render_progress"), "progress": 10**400}
    with pytest.raises(ContractError, match="progress"):
        contract.parse_webhook(data)


@pytest.mark.parametrize("errors", [None, "Boom", {}, [{"stack": "at …"}]])
def test_errors_that_are_no_list_of_errors_are_refused(errors):
    with pytest.raises(ContractError, match="errors"):
        contract.parse_webhook({**golden.load("render_error"), "errors": errors})


@pytest.mark.parametrize("name", WEBHOOKS)
def test_a_worker_from_before_the_costs_is_understood(name):
    data = {key: value for key, value in golden.load(name).items() if key != "worker"}
    webhook = contract.parse_webhook(data)
    assert webhook is not None
    assert webhook.worker is None


def test_a_webhook_of_an_unknown_type_is_nothing():
    assert contract.parse_webhook({**golden.load("render_progress"), "type": "render_paused"}) is None


def test_a_whole_number_stands_for_a_float():
    data = {**golden.load("render_progress"), "progress": 1}
    webhook = contract.parse_webhook(data)
    assert isinstance(webhook, RenderProgress)
    assert isinstance(webhook.progress, float)


@pytest.mark.parametrize("action", ["explode", 7, [], {}])
def test_an_answer_with_an_unknown_action_is_refused(action):
    with pytest.raises(ContractError, match="action"):
        contract.parse_answer(json.dumps({"action": action}).encode())


# --- The output's key ---------------------------------------------------------------------------------------


def test_the_first_attempts_output_has_the_exports_name():
    assert contract.output_key(export_id=EXPORT, attempt=1, codec="vp9") == f"renders/export-{EXPORT}.webm"


def test_each_later_attempt_has_an_output_of_its_own():
    assert contract.output_key(export_id=EXPORT, attempt=3, codec="h264") == f"renders/export-{EXPORT}-3.mp4"


def test_uncompressed_audio_makes_another_file_where_the_usual_one_cannot_hold_it():
    made = {codec: contract.extension_of(codec, "pcm-16") for codec in contract.CODEC_EXTENSIONS}
    usual = dict(contract.CODEC_EXTENSIONS)
    video = dict.fromkeys(("h264", "h265", "vp8", "vp9"), "mkv")
    assert made == usual | video | {"mp3": "wav", "aac": "wav"}


def test_a_codec_that_this_version_does_not_know_is_refused():
    with pytest.raises(ContractError, match="codec"):
        contract.output_key(export_id=EXPORT, attempt=1, codec="av1")


# --- Anything at all ----------------------------------------------------------------------------------------

KINDS = (*typing.get_args(contract.Message), *typing.get_args(contract.Webhook), Answer)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def within(kind: Any, bound: Any) -> st.SearchStrategy[Any]:
    if isinstance(bound, Short):
        characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
        return st.text(characters, max_size=bound.max_chars)
    return (st.integers if kind is int else st.floats)(bound.least, bound.greatest)


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Annotated:
        return within(*arguments)
    if hint is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if typing.get_origin(hint) is tuple:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if typing.get_origin(hint) is dict:
        return st.dictionaries(st.text(max_size=8), json_values, max_size=4)
    if arguments:
        return st.one_of(*(values_of(each) for each in arguments))
    if isinstance(hint, type) and issubclass(hint, Wire):
        return instances_of(hint)
    return st.from_type(hint)


def instances_of(kind: Any) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return st.builds(kind, **{each.name: values_of(hints[each.name]) for each in fields(kind)})


@given(st.one_of(instances_of(StartMessage), instances_of(PollMessage)))
def test_any_message_is_read_as_it_was_written(message):
    assert contract.parse_message(contract.dump_message(message)) == message


webhooks = st.one_of(*(instances_of(kind) for kind in typing.get_args(contract.Webhook)))


@given(webhooks, st.text(), st.floats(0, 1e12))
def test_any_webhook_is_read_as_it_was_written(webhook, id, timestamp):
    body = contract.dump_webhook(webhook, id=id, timestamp=timestamp)
    envelope, data = contract.parse_envelope(body)
    assert contract.parse_webhook(data) == webhook
    assert (envelope.id, envelope.timestamp) == (id, timestamp)
    assert body.isascii()


numbers_beyond_json = st.sampled_from(["NaN", "-Infinity", "1e999", "1" * 400, "1" * 5_000])

garbage = st.one_of(
    st.binary(),
    st.text(alphabet=st.characters(codec=None)).map(lambda text: text.encode("utf-8", "surrogatepass")),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.integers(1, 100_000).map(lambda depth: b"[" * depth + b"]" * depth),
    st.integers(1, 20_000).map(lambda depth: b'{"a":' * depth + b"1" + b"}" * depth),
)


def parse_text(body: bytes) -> contract.Message:
    return contract.parse_message(body.decode("utf-8", "surrogateescape"))


PARSERS: list[Callable[[bytes], object]] = [
    contract.parse_envelope,
    contract.parse_answer,
    contract.parse_remotion_webhook,
    parse_text,
]


@given(garbage)
def test_garbage_raises_a_contract_error_if_anything(body):
    for parse in PARSERS:
        with suppress(ContractError):
            parse(body)


@st.composite
def almost(draw: st.DrawFn) -> bytes:
    """Return the bytes of a golden file in which one value has become something else."""
    names = [*MESSAGES, *WEBHOOKS, "remotion_success", "remotion_error", "answer_keep"]
    data = golden.load(draw(st.sampled_from(names)))
    place = data
    while True:
        key = draw(st.sampled_from(sorted(place)))
        if isinstance(place[key], dict) and place[key] and draw(st.booleans()):
            place = place[key]
            continue
        break
    marker = "\x00here"
    place[key] = draw(json_values | st.just(marker))
    return json.dumps(data).replace(json.dumps(marker), draw(numbers_beyond_json)).encode()


@given(almost())
def test_one_wrong_value_raises_a_contract_error_if_anything(body):
    for parse in PARSERS:
        with suppress(ContractError):
            parse(body)
    with suppress(ContractError):
        _, data = contract.parse_envelope(body)
        contract.parse_webhook(data)


@given(almost())
def test_what_can_be_read_can_be_written(body):
    try:
        message = parse_text(body)
    except ContractError:
        return
    assert contract.parse_message(contract.dump_message(message)) == message

"""The local renderer, asked by Remotion's own client, over real S3 and with a real browser."""

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError
from remotion_lambda import RenderMediaParams
from remotion_lambda.exception import RemotionException, RemotionRenderingOutputError
from remotion_lambda.models import (
    ChromiumOptions,
    OpenGlRenderer,
    OutNameInputObject,
    Privacy,
    RenderMediaProgress,
    RenderStillParams,
    ValidStillImageFormats,
    Webhook,
)
from remotion_lambda.remotionclient import RemotionClient
from remotion_lambda.version import VERSION

from lambda_worker import contract, signing
from localcloud import ports
from localcloud.browser import find_browser
from localcloud.ministack import REGION, MiniStack
from localcloud.paths import RENDERER, SITE
from localcloud.renderer import FUNCTION_NAME, Renderer
from localcloud.site import upload_site
from localcloud.stack import Stack
from localcloud.users import create_renderer_user

pytestmark = pytest.mark.slow

SECRET = "a-secret-of-tests"
PATIENCE_S = 120.0
FEW_FRAMES = [0, 5]
STOPPED_WITHIN_S = 5.0

T = TypeVar("T")


def until(ask: Callable[[], T], holds: Callable[[T], Any], *, within_s: float = PATIENCE_S) -> T:
    """Ask until the answer is as wanted, and return it."""
    deadline = time.monotonic() + within_s
    while not holds(answer := ask()):
        assert time.monotonic() < deadline, f"still {answer!r} after {within_s} s"
        time.sleep(0.05)
    return answer


# --- The world ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A renderer, and what it needs and changes."""

    account: MiniStack
    bucket: str
    serve_url: str
    settings: Mapping[str, str]
    endpoint: str

    def client(self) -> RemotionClient:
        """Return the client as anyone has it: its addresses come from the environment."""
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
        config = Config(retries={"total_max_attempts": 1}, read_timeout=PATIENCE_S)
        return RemotionClient(
            region=REGION,
            serve_url=self.serve_url,
            function_name=FUNCTION_NAME,
            session=session,
            config=config,
        )

    def start(self, composition: str = "Throws", **options: Any) -> str:
        """Start a render and return its id."""
        params = {"bucket_name": self.bucket, "privacy": Privacy.PRIVATE, **options}
        response = self.client().render_media_on_lambda(RenderMediaParams(composition=composition, **params))
        assert response is not None
        assert response.bucket_name == self.bucket
        return str(response.render_id)

    def progress(self, render_id: str) -> RenderMediaProgress:
        answer = self.client().get_render_progress(render_id, self.bucket)
        assert answer is not None
        return answer

    def render(self, composition: str = "Throws", **options: Any) -> RenderMediaProgress:
        """Render to the end, whichever it is."""
        return self.ended(self.start(composition, **options))

    def ended(self, render_id: str) -> RenderMediaProgress:
        return until(lambda: self.progress(render_id), lambda at: at.done or at.fatalErrorEncountered)

    def running(self, render_id: str) -> RenderMediaProgress:
        """Return once some frames are drawn."""
        return until(lambda: self.progress(render_id), lambda at: at.framesRendered)

    def stored(self, key: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.account.client("s3").get_object(Bucket=self.bucket, Key=key)
        return answer

    def progress_file(self, render_id: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.stored(f"renders/{render_id}/progress.json")["Body"].read())
        return content

    def post(self, path: str, body: bytes) -> tuple[int, Message, Any]:
        request = urllib.request.Request(f"{self.endpoint}{path}", data=body, method="POST")  # noqa: S310
        try:
            with urllib.request.urlopen(request) as response:  # noqa: S310
                return response.status, response.headers, json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, json.loads(error.read())

    def invoke(self, payload: object, *, function: str = FUNCTION_NAME) -> tuple[int, Message, Any]:
        path = f"/2015-03-31/functions/{function}/invocations"
        return self.post(path, payload if isinstance(payload, bytes) else json.dumps(payload).encode())

    def plan(self, *faults: Mapping[str, Any]) -> None:
        status, _, _ = self.post("/faults", json.dumps(faults).encode())
        assert status == HTTPStatus.OK


@pytest.fixture(scope="module")
def world(account: MiniStack, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    port = ports.choose_port(0)
    settings = {"AWS_ENDPOINT_URL_S3": account.endpoint, **create_renderer_user(account, stack)}
    with Renderer(
        port=port,
        browser=find_browser(),
        environment={**settings, "RENDERER_FAULTS": "1"},
        log=tmp_path_factory.mktemp("renderer") / "renderer.log",
    ) as renderer:
        yield World(
            account=account,
            bucket=stack.bucket,
            serve_url=upload_site(account, bucket=stack.bucket, site=SITE),
            settings=settings,
            endpoint=renderer.endpoint,
        )


@pytest.fixture(autouse=True)
def addresses(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", world.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", world.account.endpoint)
    yield
    world.plan()


@contextmanager
def another(world: World, monkeypatch: pytest.MonkeyPatch, log: Path, **settings: str) -> Iterator[World]:
    """A second renderer beside the first, for what changes one for good."""
    with (
        Renderer(
            port=ports.choose_port(0),
            browser=find_browser(),
            environment={**world.settings, **settings},
            log=log,
        ) as renderer,
        monkeypatch.context() as patch,
    ):
        patch.setenv("AWS_ENDPOINT_URL_LAMBDA", renderer.endpoint)
        yield replace(world, endpoint=renderer.endpoint)


@dataclass(frozen=True, slots=True)
class Delivery:
    headers: Mapping[str, str]
    body: bytes
    received_at: float


class Receiver:
    """What gets webhooks: it keeps them, and answers with `answers` first, then with 200."""

    def __init__(self) -> None:
        self.deliveries: queue.Queue[Delivery] = queue.Queue()
        self.answers: queue.SimpleQueue[HTTPStatus] = queue.SimpleQueue()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.deliveries.put(Delivery(dict(self.headers.items()), body, time.time()))
                with contextlib.suppress(queue.Empty):
                    self.send_error(receiver.answers.get_nowait())
                    return
                self.send_response(HTTPStatus.OK)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer((ports.HOST, 0), Handler)

    def webhook(self, **custom_data: Any) -> Webhook:
        url = f"http://{ports.HOST}:{self.server.server_port}/"
        return Webhook(secret=SECRET, url=url, customData=custom_data)

    def next(self) -> Delivery:
        return self.deliveries.get(timeout=PATIENCE_S)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.05,))
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join()


def of_export() -> dict[str, Any]:
    return {"exportId": str(uuid.uuid4()), "attempt": 1}


# --- Rendering ----------------------------------------------------------------------------------------------


def test_a_composition_becomes_a_private_video(world: World):
    at = world.render("MainComposition", input_props={"title": "A title"}, frame_range=[0, 9])

    assert at.errors == []
    assert (at.done, at.overallProgress, at.framesRendered) == (True, 1, 10)
    assert at.outKey == f"renders/{at.renderId}/out.mp4"
    assert at.costs["accruedSoFar"] > 0
    video = world.stored(at.outKey)
    assert video["ContentType"] == "video/mp4"
    content = video["Body"].read()
    assert content[4:8] == b"ftyp"
    assert at.outputSizeInBytes == len(content)
    assert at.outputFile == f"{world.account.endpoint}/{world.bucket}/{at.outKey}"
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(at.outputFile)  # noqa: S310
    refused.value.close()


def test_a_name_lands_beside_the_progress_of_the_render(world: World):
    at = world.render(out_name="video.mp4", frame_range=FEW_FRAMES)

    assert at.outKey == f"renders/{at.renderId}/video.mp4"
    assert world.stored(at.outKey)["ContentLength"] == at.outputSizeInBytes


@pytest.mark.parametrize(
    ("codec", "extension"),
    [pair for pair in contract.CODEC_EXTENSIONS.items() if pair[0] not in contract.STILLS],
)
def test_every_codec_of_the_contract_renders_to_the_bucket_and_key(world: World, codec: str, extension: str):
    key = f"renders/export-{uuid.uuid4()}.{extension}"
    at = world.render(codec=codec, out_name=OutNameInputObject(world.bucket, key), frame_range=FEW_FRAMES)

    assert at.errors == []
    assert at.outKey == key
    assert world.stored(key)["ContentType"].partition("/")[0] in ("video", "audio", "image")


def test_options_reach_remotion(world: World):
    at = world.render(
        frame_range=FEW_FRAMES,
        every_nth_frame=2,
        scale=2,
        force_width=400,
        crf=30,
        muted=True,
        jpeg_quality=50,
        x264_preset="ultrafast",
        pixel_format="yuv420p",
        chromium_options=ChromiumOptions(gl=OpenGlRenderer.SWANGLE),
    )

    assert at.errors == []
    assert at.framesRendered == 3
    assert at.renderMetadata["dimensions"] == {"width": 800, "height": 360}


@pytest.mark.parametrize("image_format", ValidStillImageFormats)
def test_a_still_is_there_when_it_is_answered(world: World, image_format: ValidStillImageFormats):
    response = world.client().render_still_on_lambda(
        RenderStillParams(
            composition="Long",
            frame=10,
            image_format=image_format,
            privacy=Privacy.PRIVATE,
            force_bucket_name=world.bucket,
        )
    )

    assert response is not None
    still = world.stored(response.outKey)
    assert still["ContentLength"] == response.size_in_bytes
    assert still["ContentType"].endswith(image_format.value)


def test_large_props_come_by_way_of_the_bucket_and_are_gone_afterwards(world: World):
    at = world.render("Long", input_props={"padding": "x" * 200_000}, frame_range=FEW_FRAMES)

    assert at.done
    assert at.renderMetadata["inputProps"]["type"] == "bucket-url"
    found = world.account.client("s3").list_objects_v2(Bucket=world.bucket, Prefix="input-props/")
    assert found["KeyCount"] == 0


def test_progress_only_rises(world: World):
    render_id = world.start("Long", frame_range=[0, 149])
    seen = []

    def look() -> RenderMediaProgress:
        seen.append(world.progress(render_id))
        return seen[-1]

    until(look, lambda at: at.done)

    values = [at.overallProgress for at in seen]
    assert values == sorted(values)
    assert any(0 < value < 1 for value in values)


# --- Errors -------------------------------------------------------------------------------------------------


def test_an_unknown_composition_ends_in_remotions_own_words(world: World):
    at = world.render("Nope")

    assert at.fatalErrorEncountered
    assert "Could not find composition with ID Nope" in at.errors[0]["message"]
    assert at.errors[0]["stack"]


def test_the_bundles_list_of_compositions_is_what_remotion_finds_in_it(world: World):
    listed = json.loads((SITE / "compositions.json").read_text())["compositions"]

    message = world.render("Nope").errors[0]["message"]

    found = re.search(r"compositions.*: ([\w, ]+)", message)
    assert found
    assert found[1].split(", ") == [each["id"] for each in listed]


def test_a_composition_that_throws_is_told_with_its_stack(world: World):
    render_id = world.start("Throws", enable_cancellation=True)
    # The message has an unbalanced brace, which the client's parser of answers trips over.
    state = until(lambda: world.progress_file(render_id), lambda at: at["fatalErrorTimestamp"])

    renderer, main = state["errors"]
    assert renderer["message"] == "The chart has no data to draw: {unbalanced"
    assert "at Throws" in renderer["stack"]
    assert (renderer["type"], renderer["isFatal"]) == ("renderer", True)
    assert main["message"].startswith("Error: The chart has no data to draw: {unbalanced\n")
    with pytest.raises(RemotionRenderingOutputError, match="Unexpected Lambda response format"):
        world.progress(render_id)


def test_a_site_that_cannot_be_reached_is_an_error_of_the_render(world: World):
    unreachable = replace(world, serve_url=f"http://{ports.HOST}:{ports.choose_port(0)}/site")
    at = unreachable.render()

    assert "ERR_CONNECTION_REFUSED" in at.errors[0]["message"]


def test_an_extension_that_does_not_fit_the_codec_is_an_error(world: World):
    at = world.render(codec="h264", out_name="video.webm")

    assert "the output filename must end in one of the following: mp4" in at.errors[0]["message"]


def test_a_file_that_is_there_already_is_not_overwritten(world: World):
    out_name = OutNameInputObject(world.bucket, f"renders/export-{uuid.uuid4()}.mp4")
    first = world.render(out_name=out_name, frame_range=FEW_FRAMES)
    again = world.render(out_name=out_name, frame_range=FEW_FRAMES, overwrite=False)
    over = world.render(out_name=out_name, frame_range=FEW_FRAMES, overwrite=True)

    assert first.done
    assert "already exists" in again.errors[0]["message"]
    assert over.done


def test_an_unknown_render_is_an_error_of_the_function(world: World):
    with pytest.raises(RemotionRenderingOutputError, match="The specified key does not exist"):
        world.progress("a" * 10)


# --- Webhooks -----------------------------------------------------------------------------------------------


def test_a_success_is_announced_by_a_signed_webhook(world: World, receiver: Receiver):
    data = of_export()
    at = world.render(webhook=receiver.webhook(**data), frame_range=FEW_FRAMES)

    delivery = receiver.next()
    assert signing.verify(delivery.body, delivery.headers[signing.HEADER], secrets=[SECRET]) == "sha512"
    assert delivery.headers[signing.MODE_HEADER] == "production"
    assert delivery.headers["X-Remotion-Status"] == "success"
    assert delivery.headers["Content-Type"] == "application/json"
    success = contract.parse_remotion_webhook(delivery.body)
    assert isinstance(success, contract.RenderSuccess)
    assert (success.export_id, success.render_id) == (data["exportId"], at.renderId)
    assert success.output_file == at.outputFile
    assert success.costs == contract.RenderCosts(amount_usd=at.costs["accruedSoFar"])


def test_an_error_is_announced_by_a_signed_webhook(world: World, receiver: Receiver):
    world.start("Throws", webhook=receiver.webhook(**of_export()))

    delivery = receiver.next()
    assert signing.verify(delivery.body, delivery.headers[signing.HEADER], secrets=[SECRET]) == "sha512"
    assert delivery.headers["X-Remotion-Status"] == "error"
    error = contract.parse_remotion_webhook(delivery.body)
    assert isinstance(error, contract.RenderError)
    assert "The chart has no data to draw" in error.errors[0].message
    assert error.errors[0].stack


def test_a_webhook_that_is_refused_is_sent_three_times(world: World, receiver: Receiver):
    receiver.answers.put(HTTPStatus.BAD_GATEWAY)
    receiver.answers.put(HTTPStatus.BAD_GATEWAY)
    world.start("Nope", webhook=receiver.webhook(**of_export()))

    bodies = {receiver.next().body for _ in range(3)}
    assert len(bodies) == 1


def test_a_webhook_with_other_characters_than_ascii_does_not_arrive(world: World, receiver: Receiver):
    world.ended(world.start("Nope", webhook=receiver.webhook(name="Zoë")))
    world.ended(world.start("Nope", webhook=receiver.webhook(name="Zoe")))

    assert json.loads(receiver.next().body)["customData"] == {"name": "Zoe"}


def test_without_a_secret_the_webhook_says_so(world: World, receiver: Receiver):
    world.start("Nope", webhook=replace(receiver.webhook(**of_export()), secret=""))

    assert receiver.next().headers[signing.HEADER] == "NO_SECRET_PROVIDED"


# --- The end before the end ---------------------------------------------------------------------------------


def test_a_running_and_a_waiting_render_are_cancelled(world: World):
    running = world.start("Long", enable_cancellation=True)
    waiting = world.start("Long", enable_cancellation=True)
    world.running(running)

    assert world.progress(waiting).overallProgress == 0
    for render_id in (waiting, running):
        world.client().cancel_render_on_lambda(render_id, world.bucket)
        at = world.ended(render_id)
        assert not at.done
        assert at.errors[0]["message"] == "renderMedia() got cancelled"
    assert world.render(frame_range=FEW_FRAMES).done


def test_a_render_has_no_more_time_than_its_limit(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    with another(world, monkeypatch, tmp_path / "log", RENDER_TIME_LIMIT_S="8") as limited:
        render_id = limited.start("Long", webhook=receiver.webhook(**of_export()))
        delivery = receiver.next()
        at = until(lambda: limited.progress(render_id), lambda at: at.timeoutTimestamp < at.currentTime)

        assert delivery.headers["X-Remotion-Status"] == "timeout"
        assert isinstance(contract.parse_remotion_webhook(delivery.body), contract.RenderTimeout)
        assert (at.done, at.fatalErrorEncountered) == (False, False)
        # The next one is given a new browser, and time of its own.
        assert limited.render(frame_range=[0, 0]).done


def test_long_after_its_limit_a_render_is_called_timed_out(world: World):
    render_id = world.render("Long", frame_range=FEW_FRAMES).renderId
    state = world.progress_file(render_id)
    state["postRenderData"] = None
    state["renderMetadata"]["startedDate"] -= 930_000
    world.account.client("s3").put_object(
        Bucket=world.bucket, Key=f"renders/{render_id}/progress.json", Body=json.dumps(state).encode()
    )

    at = world.progress(render_id)
    assert at.fatalErrorEncountered
    assert at.errors[0]["name"] == "TimeoutError"


def test_status_is_answered_after_a_restart(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    done = world.render(frame_range=FEW_FRAMES)
    failed = world.render("Nope")

    with another(world, monkeypatch, tmp_path / "log") as restarted:
        for before in (done, failed):
            after = restarted.progress(before.renderId)
            assert {**after.__dict__, "currentTime": 0} == {**before.__dict__, "currentTime": 0}


# --- Lambda's own answers -----------------------------------------------------------------------------------


def test_an_unknown_function_is_not_found(world: World):
    status, headers, body = world.invoke({"type": "info"}, function="nope")

    assert (status, headers["X-Amzn-ErrorType"]) == (HTTPStatus.NOT_FOUND, "ResourceNotFoundException")
    assert body["Message"].endswith(":function:nope")


def test_the_version_is_told(world: World):
    assert world.invoke({"type": "info"})[2] == {"type": "success", "version": VERSION}


def test_another_version_is_turned_away(world: World):
    _, headers, start = world.invoke({"type": "start", "version": "4.0.1", "bucketName": world.bucket})
    assert start["type"] == "error"
    assert start["message"].startswith("Version mismatch: When calling renderMediaOnLambda()")
    assert "X-Amz-Function-Error" not in headers

    _, headers, status = world.invoke({"type": "status", "version": "4.0.1"})
    assert status["errorMessage"].startswith("Version mismatch: When calling getRenderProgress()")
    assert headers["X-Amz-Function-Error"] == "Unhandled"


def test_an_unknown_command_is_an_error_of_the_function(world: World):
    status, headers, body = world.invoke({"type": "nope"})

    assert (status, headers["X-Amz-Function-Error"]) == (HTTPStatus.OK, "Unhandled")
    assert body["errorMessage"].startswith("Command not found")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", HTTPStatus.BAD_REQUEST, "InvalidRequestContentException"),
        (
            b'"%s"' % (b"x" * 6 * 1024 * 1024),
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "RequestEntityTooLargeException",
        ),
    ],
    ids=["no JSON", "too large"],
)
def test_a_bad_payload_never_reaches_the_function(world: World, body: bytes, status: HTTPStatus, code: str):
    answered, headers, _ = world.invoke(body)

    assert (answered, headers["X-Amzn-ErrorType"]) == (status, code)


# --- Faults -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("throttle", ClientError, "TooManyRequestsException"),
        ("server-error", ClientError, "ServiceException"),
        ("function-error", RemotionRenderingOutputError, "Runtime exited"),
    ],
)
def test_a_fault_strikes_as_often_as_planned(world: World, fault: str, error: type[Exception], words: str):
    world.plan({"kind": "start", "fault": fault, "times": 2})

    for _ in range(2):
        with pytest.raises(error, match=words):
            world.start("Nope")
    world.ended(world.start("Nope"))


def test_a_start_without_an_answer_renders_all_the_same(world: World):
    key = f"renders/export-{uuid.uuid4()}.mp4"
    world.plan({"kind": "start", "fault": "no-answer"})

    with pytest.raises(ConnectionClosedError):
        world.start(out_name=OutNameInputObject(world.bucket, key), frame_range=FEW_FRAMES)
    s3 = world.account.client("s3")
    until(lambda: s3.list_objects_v2(Bucket=world.bucket, Prefix=key)["KeyCount"], lambda count: count == 1)


def test_an_answer_can_be_slow(world: World):
    world.plan({"kind": "start", "fault": "delay", "delayMs": 400})
    began = time.monotonic()

    render_id = world.start("Nope")

    assert time.monotonic() - began >= 0.4
    world.ended(render_id)


def test_a_brace_in_an_error_hides_a_render_that_is_finished(world: World):
    render_id = world.render(frame_range=FEW_FRAMES).renderId
    world.plan({"kind": "status", "fault": "braces"})

    with pytest.raises(RemotionException, match="Failed to parse Lambda response stream"):
        world.progress(render_id)
    assert world.progress(render_id).done


def test_a_webhook_can_be_lost_or_late(world: World, receiver: Receiver):
    world.plan(
        {"kind": "webhook", "fault": "drop"},
        {"kind": "webhook", "fault": "delay", "delayMs": 400},
    )
    world.ended(world.start("Nope", webhook=receiver.webhook(number=1)))
    until(lambda: left(world), lambda rules: len(rules) == 1)
    render_id = world.start("Nope", webhook=receiver.webhook(number=2))

    delivery = receiver.next()
    assert json.loads(delivery.body)["customData"] == {"number": 2}
    assert delivery.received_at - world.progress_file(render_id)["fatalErrorTimestamp"] / 1000 >= 0.4


def left(world: World) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{world.endpoint}/faults") as response:  # noqa: S310
        rules: list[dict[str, Any]] = json.loads(response.read())
        return rules


def test_a_fault_that_does_not_exist_is_refused(world: World):
    status, _, body = world.post("/faults", b'[{"kind": "webhook", "fault": "braces"}]')

    assert status == HTTPStatus.BAD_REQUEST
    assert body["Message"] == 'There is no fault "braces" for "webhook".'


def test_faults_are_off_unless_they_are_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    with another(world, monkeypatch, tmp_path / "log") as plain:
        assert plain.post("/faults", b"[]")[0] == HTTPStatus.NOT_FOUND


# --- The process --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Service:
    """A renderer that a test ends in its own way, and all its processes."""

    child: subprocess.Popen[bytes]
    mark: bytes
    temporary: Path

    def processes(self) -> dict[int, str]:
        """Return the command of each process that has inherited the mark."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self.mark in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def browser(self) -> int:
        """Return the process of the browser that started all its others."""
        commands = self.processes().items()
        browsers = [pid for pid, command in commands if "--remote-debugging-port" in command]
        return min(browsers)


@pytest.fixture
def service(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[Service, World]]:
    mark = f"RENDERER_TEST={uuid.uuid4()}"
    command = ["node", str(RENDERER / "src" / "main.mjs")]
    environment = {
        **dict([mark.split("=")]),
        **world.settings,
        "PATH": os.environ["PATH"],
        "BROWSER_EXECUTABLE": str(find_browser()),
        "TMPDIR": str(tmp_path),
    }
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdout is not None
        try:
            listening = json.loads(child.stdout.readline())
            assert listening["event"] == "listening"
            endpoint = f"http://{ports.HOST}:{listening['port']}"
            monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", endpoint)
            yield Service(child, mark.encode(), tmp_path), replace(world, endpoint=endpoint)
        finally:
            child.kill()


def close_stdin(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    child.stdin.close()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")
@pytest.mark.parametrize(
    "end",
    [
        lambda child: child.send_signal(signal.SIGTERM),
        lambda child: child.send_signal(signal.SIGINT),
        close_stdin,
        lambda child: child.kill(),
    ],
    ids=["SIGTERM", "SIGINT", "stdin closed", "SIGKILL"],
)
def test_nothing_is_left_of_a_renderer_that_ends_while_it_renders(
    service: tuple[Service, World], end: Callable[[subprocess.Popen[bytes]], None]
):
    process, world = service
    world.running(world.start("Long"))
    assert len(process.processes()) > 2

    end(process.child)

    until(process.processes, lambda found: not found, within_s=STOPPED_WITHIN_S)
    if process.child.wait() != -signal.SIGKILL:
        assert list(process.temporary.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")
def test_a_browser_that_dies_is_replaced(service: tuple[Service, World]):
    process, world = service
    render_id = world.start("Long", frame_range=[0, 99])
    world.running(render_id)

    os.kill(process.browser(), signal.SIGKILL)

    at = world.ended(render_id)
    assert at.done
    assert [(error["isFatal"], error["willRetry"]) for error in at.errors] == [(False, True)]
    assert [retry["attempt"] for retry in at.__dict__["retriesInfo"]] == [2]

    os.kill(process.browser(), signal.SIGKILL)
    assert world.render(frame_range=FEW_FRAMES).done

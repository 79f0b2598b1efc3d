"""Exports through everything: the API, SQS, the worker's zip, Chromium, S3, webhooks and the socket."""

import html
import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from email.message import Message
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest

from localcloud.api_client import ApiClient, download
from localcloud.errors import LocalCloudError
from localcloud.media import probe
from localcloud.system import System, running_system

pytestmark = pytest.mark.slow

WITHIN_S = 120


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_system(tmp_path_factory.mktemp("journey")) as running:
        yield running


@pytest.fixture(scope="module")
def api(system: System) -> ApiClient:
    client = ApiClient(system.address)
    client.sign_in(system.demo.username, system.demo.password)
    return client


def follow_to_the_end(api: ApiClient, export_id: str) -> list[dict[str, Any]]:
    """Return every status that the socket showed, the last being that of the end."""
    seen = []
    deadline = time.monotonic() + WITHIN_S
    with closing(api.follow(export_id)) as statuses:
        for status in statuses:
            seen.append(status)
            if status["status"] in ("completed", "failed", "cancelled"):
                return seen
            assert time.monotonic() < deadline, seen
    raise AssertionError(seen)


def event_types(api: ApiClient, export_id: str) -> list[str]:
    return [event["type"] for event in api.call("GET", f"/api/exports/{export_id}/events")["events"]]


def refusal(url: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(url)  # noqa: S310
    with refused.value as error:
        return error.code


def test_an_export_becomes_a_video(system: System, api: ApiClient, tmp_path: Path):
    body = {"inputProps": {"title": "From end to end"}}
    export_id = api.call("POST", f"/api/exports/projects/{system.demo.project_id}/export", body)["exportId"]
    seen = follow_to_the_end(api, export_id)
    status = seen[-1]

    assert status["status"] == "completed", status["errorMessage"]
    read = api.call("GET", f"/api/exports/{export_id}/status")
    assert status == {**read, **volatile(status)}
    # A poll that was under way tells what it used after the end.
    assert float(read["cost"]["amount"]) >= float(status["cost"]["amount"])
    assert event_types(api, export_id) == ["created", "claimed", "started", "completed"]
    moved = [each["progress"] for each in seen]
    assert moved == sorted(moved)
    assert len(set(moved)) > 2, "the socket showed no progress between the start and the end"
    assert float(status["cost"]["amount"]) > 0

    video = tmp_path / "video.mp4"
    download(status["outputUrl"], video)
    assert probe(video).codec == "h264"
    assert probe(video).size_bytes == status["outputSizeBytes"]
    assert refusal(status["outputUrl"].partition("?")[0]) == 403, "the file must be private"


def volatile(status: dict[str, Any]) -> dict[str, Any]:
    # Made anew for each reader, or still rising.
    return {name: status[name] for name in ("outputUrl", "downloadUrl", "outputExpiresAt", "cost")}


@pytest.fixture(scope="module")
def countdown(api: ApiClient) -> str:
    """A project of 600 frames, each of which shows another number."""
    project = api.call("POST", "/api/projects", {"title": "Countdown", "compositionId": "Long"})
    return str(project["projectId"])


def export(api: ApiClient, project_id: str, **body: Any) -> dict[str, Any]:
    """Ask for an export and return its status at the end."""
    export_id = api.call("POST", f"/api/exports/projects/{project_id}/export", body)["exportId"]
    return follow_to_the_end(api, export_id)[-1]


def fetch(status: dict[str, Any], target: Path) -> Message:
    """Store the file of a completed export, and return the headers that came with it."""
    assert status["status"] == "completed", status["errorMessage"]
    download(status["outputUrl"], target)
    with urllib.request.urlopen(status["outputUrl"]) as response:  # noqa: S310
        headers: Message = response.headers
        return headers


def test_a_still_shows_the_frame_that_was_asked_for(api: ApiClient, countdown: str, tmp_path: Path):
    shown = {}
    for frame in (0, 599, -1):
        status = export(api, countdown, codec="png", frame=frame, renderOptions={"scale": 2})
        headers = fetch(status, tmp_path / f"{frame}.png")
        assert headers["Content-Type"] == "image/png"
        assert (status["frame"], status["renderOptions"]) == (frame, {"scale": 2.0})
        assert event_types(api, status["exportId"]) == ["created", "claimed", "completed"]
        assert float(status["cost"]["amount"]) > 0
        shown[frame] = (tmp_path / f"{frame}.png").read_bytes()

    picture = probe(tmp_path / "0.png")
    assert (picture.codec, picture.width, picture.height) == ("png", 1280, 720)
    assert shown[-1] == shown[599] != shown[0]


def test_a_page_and_a_picture_come_as_what_they_are(api: ApiClient, countdown: str, tmp_path: Path):
    options = {"downloadBehavior": {"type": "download", "fileName": "countdown.pdf"}}
    headers = fetch(export(api, countdown, codec="pdf", renderOptions=options), tmp_path / "page.pdf")
    assert headers["Content-Type"] == "application/pdf"
    assert headers["Content-Disposition"] == 'attachment; filename="countdown.pdf"'
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")

    sizes = []
    for quality in (5, 100):
        status = export(api, countdown, codec="jpeg", renderOptions={"jpegQuality": quality, "width": 320})
        assert fetch(status, tmp_path / "small.jpeg")["Content-Type"] == "image/jpeg"
        sizes.append(status["outputSizeBytes"])
    assert probe(tmp_path / "small.jpeg").width == 320
    assert sizes[0] < sizes[1]


def test_a_part_of_a_video_is_rendered_small_and_without_sound(
    api: ApiClient, countdown: str, tmp_path: Path
):
    options = {"frameRange": [30, 59], "scale": 0.5, "muted": True, "x264Preset": "ultrafast", "crf": 40}
    fetch(export(api, countdown, renderOptions=options), tmp_path / "part.mp4")
    video = probe(tmp_path / "part.mp4")
    assert (video.codec, video.width, video.height, video.audio_codec) == ("h264", 320, 180, None)
    assert video.duration_s == pytest.approx(1.0, abs=0.01)


def test_uncompressed_sound_comes_in_a_file_that_can_hold_it(api: ApiClient, countdown: str, tmp_path: Path):
    options = {
        "audioCodec": "pcm-16",
        "fps": 10,
        "durationInFrames": 20,
        "everyNthFrame": 2,
        "width": 160,
        "height": 90,
    }
    status = export(api, countdown, codec="vp8", renderOptions=options)
    headers = fetch(status, tmp_path / "sound.mkv")
    assert headers["Content-Type"] == "video/x-matroska"
    assert "/export-{}.mkv?".format(status["exportId"]) in status["outputUrl"]
    video = probe(tmp_path / "sound.mkv")
    assert (video.codec, video.width, video.height, video.audio_codec) == ("vp8", 160, 90, "pcm_s16le")
    assert video.duration_s == pytest.approx(2.0, abs=0.1)


def test_a_still_that_throws_fails_the_export_with_its_own_words(api: ApiClient):
    project = api.call("POST", "/api/projects", {"title": "Broken", "compositionId": "Throws"})
    status = export(api, project["projectId"], codec="png", frame=10)
    assert status["status"] == "failed"
    assert "The chart has no data to draw: {unbalanced" in status["errorMessage"]
    assert (status["retryable"], status["attempt"]) == (False, 1)


def test_a_composition_that_throws_fails_the_export_with_its_own_words(system: System, api: ApiClient):
    project = api.call("POST", "/api/projects", {"title": "Broken", "compositionId": "Throws"})
    export_id = api.call("POST", f"/api/exports/projects/{project['projectId']}/export", {})["exportId"]
    status = follow_to_the_end(api, export_id)[-1]

    assert status["status"] == "failed"
    assert "The chart has no data to draw: {unbalanced" in status["errorMessage"]
    assert status["retryable"] is False
    assert status["errors"][0]["stack"]
    assert event_types(api, export_id) == ["created", "claimed", "started", "failed"]
    page = admin_page(system, f"/admin/exports/exportrequest/{export_id}/change/")
    assert html.escape("The chart has no data to draw: {unbalanced") in page
    assert "The composition threw an error while it was rendered." in page


def test_an_unknown_composition_is_refused_with_those_of_the_site(system: System, api: ApiClient):
    path = f"/api/exports/projects/{system.demo.project_id}/export"
    with pytest.raises(LocalCloudError, match="it has Long, MainComposition, Throws"):
        api.call("POST", path, {"compositionId": "MainCompositon"})


def test_cancelling_stops_the_render_itself(system: System, api: ApiClient):
    project = api.call("POST", "/api/projects", {"title": "Countdown", "compositionId": "Long"})
    export_id = api.call("POST", f"/api/exports/projects/{project['projectId']}/export", {})["exportId"]
    with closing(api.follow(export_id)) as statuses:
        running = next(status for status in statuses if status["progress"] > 0)
    answer = api.call("POST", f"/api/exports/{export_id}/cancel")
    assert (answer["status"], answer["render"]) == ("cancelled", "asked")

    errors = until(lambda: progress_file(system, running)["errors"])
    assert "cancelled" in errors[0]["message"]
    assert api.call("GET", f"/api/exports/{export_id}/status")["status"] == "cancelled"
    assert event_types(api, export_id) == ["created", "claimed", "started", "cancelled"]


def progress_file(system: System, status: dict[str, Any]) -> Any:
    s3 = system.cloud.account.client("s3")
    key = f"renders/{status['renderId']}/progress.json"
    return json.load(s3.get_object(Bucket=status["bucketName"], Key=key)["Body"])


def until(look: Callable[[], Any]) -> Any:
    """Return what ``look`` returns once that is something: a render looks for a cancellation every second."""
    deadline = time.monotonic() + WITHIN_S
    while not (found := look()):
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.1)
    return found


def admin_page(system: System, path: str) -> str:
    """Sign in to the admin as a browser does, and return one of its pages."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with opener.open(f"{system.address}/admin/login/?next={path}") as form:
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form.read().decode())
    assert token
    fields = {
        "csrfmiddlewaretoken": token[1],
        "username": system.demo.username,
        "password": system.demo.password,
        "next": path,
    }
    request = urllib.request.Request(  # noqa: S310
        f"{system.address}/admin/login/",
        urllib.parse.urlencode(fields).encode(),
        {"Referer": system.address},
    )
    with opener.open(request) as page:
        text: str = page.read().decode()
        return text


def test_a_message_that_nobody_can_read_is_put_aside_with_the_reason_and_logged_once(system: System):
    stack, sqs = system.cloud.stack, system.cloud.account.client("sqs")
    sqs.send_message(QueueUrl=stack.queue_url, MessageBody="{this is no JSON")

    answer = sqs.receive_message(
        QueueUrl=stack.dead_letter_queue_url, WaitTimeSeconds=20, MessageAttributeNames=["All"]
    )

    (dead,) = answer["Messages"]
    assert dead["Body"] == "{this is no JSON"
    assert dead["MessageAttributes"]["reason"]["StringValue"]
    left = sqs.get_queue_attributes(QueueUrl=stack.queue_url, AttributeNames=["All"])["Attributes"]
    assert left["ApproximateNumberOfMessages"] == "0"
    logged = worker_log(system, event="message.dead_lettered")
    assert len(logged) == 1


def worker_log(system: System, *, event: str) -> list[dict[str, Any]]:
    logs = system.cloud.account.client("logs")
    (function,) = system.cloud.account.client("lambda").list_functions()["Functions"]
    group = f"/aws/lambda/{function['FunctionName']}"
    lines = [each["message"] for each in logs.filter_log_events(logGroupName=group)["events"]]
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    return [entry for entry in entries if entry.get("message") == event]

"""What Remotion's function is told of how to render, at the wire."""

import json
from typing import Any

import pytest

from tests.lambda_worker.conftest import Take, message
from tests.lambda_worker.test_contract import EXPORT
from tests.lambda_worker.world import BUCKET, World


def asked(world: World, take: Take, name: str, **changes: Any) -> dict[str, Any]:
    take(message(name, world, **changes))
    (request,) = (*world.remotion.starts, *world.remotion.stills)
    return request


@pytest.fixture
def plain(world, take):
    """What is sent where nothing of it was asked for: the defaults of Remotion's own client."""
    take(message("start", world))
    return world.remotion.starts.pop()


def test_every_option_reaches_remotion_under_its_own_name(world, take, plain):
    request = asked(world, take, "start_options")
    told = {name: value for name, value in request.items() if plain[name] != value}
    del told["inputProps"], told["outName"]
    assert told == {
        "scale": 0.5,
        "crf": 28,
        "jpegQuality": 90,
        "audioCodec": "pcm-16",
        "frameRange": [30, None],
        "everyNthFrame": 2,
        "x264Preset": "veryfast",
        "framesPerLambda": 40,
        "forceFps": 25.0,
        "forceWidth": 1280,
        "forceHeight": 720,
        "forceDurationInFrames": 300,
        "timeoutInMilliseconds": 60_000,
        "downloadBehavior": {"type": "download", "fileName": "Q3.mkv"},
        "pixelFormat": "yuv420p",
    }


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"imageFormat": "png"}, {"imageFormat": "png"}),
        ({"muted": True}, {"muted": True}),
        ({"proResProfile": "4444"}, {"proResProfile": "4444"}),
        ({"numberOfGifLoops": 0}, {"numberOfGifLoops": 0}),
        ({"frameRange": [0, 9]}, {"frameRange": [0, 9]}),
        (
            {"downloadBehavior": {"type": "download"}},
            {"downloadBehavior": {"type": "download", "fileName": None}},
        ),
        (
            {"downloadBehavior": {"type": "play-in-browser"}},
            {"downloadBehavior": {"type": "play-in-browser"}},
        ),
        ({}, {}),
        ({"somethingOfALaterVersion": 1}, {}),
    ],
)
def test_an_option_changes_nothing_beside_itself(world, take, plain, options, told):
    request = asked(world, take, "start_options", renderOptions=options)
    assert {name for name, value in request.items() if plain[name] != value} - {"inputProps"} <= {*told}
    assert {name: request[name] for name in told} == told


def test_uncompressed_audio_is_written_into_a_file_that_can_hold_it(world, take):
    request = asked(world, take, "start_options")
    assert request["outName"]["key"] == f"renders/export-{EXPORT}.mkv"


def test_a_still_is_asked_for_with_its_frame_and_its_options(world, take):
    request = asked(world, take, "start_still")
    assert request["type"] == "still"
    assert (request["composition"], request["imageFormat"]) == ("MainComposition", "png")
    assert (request["frame"], request["scale"]) == (-1, 2.0)
    assert request["bucketName"] == BUCKET
    assert request["outName"]["bucketName"] == BUCKET
    assert request["outName"]["key"] == f"renders/export-{EXPORT}.png"
    assert (request["privacy"], request["logLevel"]) == ("private", "warn")
    assert json.loads(request["inputProps"]["payload"]) == {"title": "Q3"}
    assert request["streamed"] is False


def test_every_option_of_a_still_reaches_remotion(world, take):
    options = {
        "jpegQuality": 60,
        "fps": 24,
        "width": 640,
        "height": 360,
        "durationInFrames": 50,
        "timeoutInMilliseconds": 10_000,
        "downloadBehavior": {"type": "download", "fileName": "cover.jpeg"},
    }
    request = asked(world, take, "start_still", codec="jpeg", renderOptions=options)
    assert request["imageFormat"] == "jpeg"
    assert request["jpegQuality"] == 60
    assert [request[f"force{name}"] for name in ("Fps", "Width", "Height", "DurationInFrames")] == [
        24,
        640,
        360,
        50,
    ]
    assert request["timeoutInMilliseconds"] == 10_000
    assert request["downloadBehavior"] == {"type": "download", "fileName": "cover.jpeg"}


def test_a_still_without_a_frame_is_the_first(world, take):
    assert asked(world, take, "start_still", frame=None)["frame"] == 0

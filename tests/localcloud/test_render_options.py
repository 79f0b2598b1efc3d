"""The rules for render options beside the installed Remotion: an upgrade that changes them is noticed here.

Remotion is asked through ``renderMedia`` and ``renderStill`` themselves, with a browser that opens no page:
what comes so far has passed all checks. What its function on Lambda alone checks (framesPerLambda, the number
of functions, downloadBehavior) is not installed here; those rules were read in its package.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from exports import render_options as rules
from exports.models import Codec, Project
from lambda_worker.contract import CODEC_EXTENSIONS, STILLS, extension_of
from localcloud.paths import RENDERER
from tests.conftest import FakeQueue

pytestmark = pytest.mark.slow

_SIZE = {"width": 640, "height": 360}
_LENGTH = {"durationInFrames": 600}

OPTIONS: list[dict[str, Any]] = [
    {},
    *({"scale": scale, **_SIZE} for scale in (0, 0.001, 0.33, 1.5, 16, 16.5)),
    *({"scale": scale, "width": width} for scale in (0.1, 0.5, 3) for width in (1, 5, 55, 1920)),
    *({"scale": scale, "height": height} for scale in (0.25, 0.7) for height in (3, 45, 1080)),
    *({"width": width} for width in (0, 1, 2.5, 3, 16_386)),
    *({"crf": crf} for crf in (-1, 0, 3, 4, 18.5, 51, 52, 63, 64)),
    *({"jpegQuality": quality} for quality in (-1, 0, 100, 101)),
    {"jpegQuality": 80, "imageFormat": "png"},
    *({"imageFormat": each} for each in ("jpeg", "png", "none", "webp")),
    *({"audioCodec": each} for each in ("aac", "mp3", "opus", "pcm-16", "flac")),
    *(
        {"frameRange": frames, **_LENGTH}
        for frames in (
            0,
            599,
            600,
            -1,
            1.5,
            [0, 0],
            [0, 599],
            [0, 600],
            [9, 8],
            [599, None],
            [600, None],
            [None, 5],
            [-1, 5],
            [0],
            [0, 1, 2],
            [0, 1.5],
            "0-9",
        )
    ),
    *({"everyNthFrame": each} for each in (0, 1, 2, 2.5, 600)),
    {"muted": True},
    {"muted": False},
    *(
        {"pixelFormat": pixels, "imageFormat": frames}
        for pixels in (*rules.PIXEL_FORMATS, "rgb24")
        for frames in ("jpeg", "png")
    ),
    {"pixelFormat": "yuva420p"},
    {"pixelFormat": "yuva444p10le"},
    *({"x264Preset": each} for each in ("veryslow", "instant")),
    *({"proResProfile": each} for each in ("4444-xq", "5555")),
    *({"numberOfGifLoops": each} for each in (-1, 0, 1.5, 65_536)),
    *({"fps": fps} for fps in (0, 0.5, 29.97, 50, 51, 1_001)),
    {"fps": 100, "everyNthFrame": 2},
    {"fps": 101, "everyNthFrame": 2},
    *({"durationInFrames": each} for each in (0, 1, 1.5, 1_000_001)),
    *({"timeoutInMilliseconds": each} for each in (6_999, 7_000, 7_000.5, 60_001, 900_001)),
]

FRAMES = (-601, -600, -1, 0, 1.5, 599, 600)


def cases() -> list[dict[str, Any]]:
    every = [{"codec": codec, "options": options} for codec in Codec.values for options in OPTIONS]
    stills = [
        {"codec": codec, "frame": frame, "options": _LENGTH} for codec in sorted(STILLS) for frame in FRAMES
    ]
    return every + stills


@pytest.fixture(scope="module")
def remotion(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    # Nothing of it is opened, and the maps of a real site would be read for each case.
    site = tmp_path_factory.mktemp("site")
    for name in ("index.html", "bundle.js", "bundle.js.map"):
        (site / name).touch()
    command = ["node", str(Path(__file__).parent / "verdicts.mjs"), str(RENDERER), str(site)]
    done = subprocess.run(
        command, input=json.dumps(cases()), cwd=RENDERER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_remotions_own_tables_are_ours(remotion: dict[str, Any]):
    tables = remotion["tables"]
    offered = rules.VIDEO | rules.AUDIO
    ranges = {codec: tuple(tables["crfRanges"][codec]) for codec in offered}
    assert {codec: each for codec, each in ranges.items() if each != (0, 0)} == rules.CRF_RANGES
    assert {codec: set(each) for codec, each in rules.AUDIO_CODECS.items()} == {
        codec: set(tables["audioCodecs"][codec]) for codec in offered if tables["audioCodecs"][codec]
    }
    assert set(rules.PIXEL_FORMATS) == set(tables["pixelFormats"]["vp9"])
    assert {*rules.IMAGE_FORMATS, "none"} == set(tables["imageFormats"])
    assert set(tables["stills"]) == STILLS
    assert list(rules.X264_PRESETS) == tables["x264Presets"]
    assert list(rules.PRO_RES_PROFILES) == tables["proResProfiles"]


def test_every_file_has_remotions_own_extension_which_tells_its_content_type(remotion: dict[str, Any]):
    tables = remotion["tables"]
    for codec in rules.VIDEO | rules.AUDIO:
        made = tables["extensions"][codec]
        assert extension_of(codec) == made.pop("usual")
        assert {audio: extension_of(codec, audio) for audio in made} == made
    assert {extension_of(codec) for codec in CODEC_EXTENSIONS} < set(tables["mimeTypes"])
    assert all(tables["mimeTypes"].values())


@pytest.fixture
def answers(
    remotion: dict[str, Any], api: APIClient, project: Project, sent: FakeQueue
) -> list[tuple[dict[str, Any], str | None, list[str]]]:
    """Each case, with Remotion's refusal and with ours."""
    path = f"/api/exports/projects/{project.pk}/export"
    compared = []
    for case, verdict in zip(cases(), remotion["verdicts"], strict=True):
        body = {name: value for name, value in case.items() if name != "options"}
        answer = api.post(path, {**body, "renderOptions": case["options"]}, format="json")
        assert answer.status_code in (202, 400), answer.content
        refusals = [error["detail"] for error in answer.json().get("errors", [])]
        compared.append((case, verdict, refusals))
    return compared


def test_what_remotion_refuses_is_refused_and_the_rest_is_taken_but_for_what_is_listed(
    answers: list[tuple[dict[str, Any], str | None, list[str]]],
):
    passed_on = [(case, verdict) for case, verdict, refusals in answers if verdict and not refusals]
    assert passed_on == []

    ours_alone = [
        (case["codec"], case["options"]) for case, verdict, refusals in answers if refusals and not verdict
    ]
    unexpected = [each for each in ours_alone if not _is_refused_by_us_alone(*each)]
    assert unexpected == []


def _is_refused_by_us_alone(codec: str, options: dict[str, Any]) -> bool:
    """Tell whether Remotion's checks let this pass, and we have a reason not to."""
    if any(codec not in rules.CODECS_OF[name] for name in options):
        # It would be ignored without a word.
        return True
    match options:
        # It fails later, in Remotion or in the encoder.
        case {"imageFormat": "none"} | {"durationInFrames": 0}:
            return True
        case {"timeoutInMilliseconds": timeout} if timeout < rules.MIN_TIMEOUT_MS or timeout % 1:
            return True
        case {"muted": True}:
            return codec in rules.AUDIO
        case {"pixelFormat": "yuva444p10le"}:
            return codec == "vp8"
        case {"numberOfGifLoops": loops}:
            return bool(loops > rules.MAX_GIF_LOOPS)
        case {"scale": scale, "width": width} if width * scale < 0.5:
            return True
        case {"scale": scale, "height": height} if height * scale < 0.5:
            return True
        # It says nothing, and is ignored or rounded.
        case {"imageFormat": "png", "jpegQuality": _}:
            return True
        case {"crf": crf}:
            return bool(crf == 18.5)
        # Bounds where Remotion has none.
        case {"fps": fps}:
            return bool(fps > rules.MAX_FPS)
        case {"width": width}:
            return bool(width * options.get("scale", 1) > rules.MAX_PIXELS)
        case {"durationInFrames": frames}:
            return bool(frames > rules.MAX_FRAMES)
        case {"timeoutInMilliseconds": timeout}:
            return bool(timeout > (rules.MAX_STILL_TIMEOUT_MS if codec in STILLS else rules.MAX_TIMEOUT_MS))
    return False

"""How to render: every option with every codec; what goes to the worker; what an owner reads back."""

import pytest
from django.utils import timezone

from exports import services
from exports.models import Codec, ExportRequest
from exports.render_options import MAX_FRAMES, MAX_LAMBDAS
from lambda_worker import signing
from lambda_worker.contract import PollMessage, StartMessage
from tests.conftest import post_webhook, remotion_body

H26X = {"h264", "h265"}
VPX = {"vp8", "vp9"}
VIDEO = H26X | VPX | {"prores", "gif"}
AUDIO = {"mp3", "aac", "wav"}
STILLS = {"png", "jpeg", "webp", "pdf"}
ALL = VIDEO | AUDIO | STILLS


def ask(api, project, **body):
    return api.post(f"/api/exports/projects/{project.pk}/export", body, format="json")


def errors(answer):
    assert answer.status_code == 400, answer.content
    problem = answer.json()
    assert problem["type"] == "urn:renderhub:problem:invalid"
    return {error["pointer"]: error["detail"] for error in problem["errors"]}


@pytest.mark.parametrize(
    ("options", "codecs"),
    [
        ({}, ALL),
        ({"scale": 16}, ALL - AUDIO),
        ({"scale": 0.01}, ALL - AUDIO),
        ({"scale": 16.1}, set()),
        ({"scale": 0}, set()),
        ({"scale": -1}, set()),
        ({"scale": True}, set()),
        ({"crf": 0}, {"h265", "vp9"}),
        ({"crf": 1}, {"h264", "h265", "vp9"}),
        ({"crf": 4}, H26X | VPX),
        ({"crf": 51}, H26X | VPX),
        ({"crf": 52}, VPX),
        ({"crf": 63}, VPX),
        ({"crf": 64}, set()),
        ({"crf": 18.5}, set()),
        ({"jpegQuality": 0}, VIDEO | {"jpeg"}),
        ({"jpegQuality": 100}, VIDEO | {"jpeg"}),
        ({"jpegQuality": 101}, set()),
        ({"jpegQuality": -1}, set()),
        ({"jpegQuality": 50, "imageFormat": "jpeg"}, VIDEO),
        ({"jpegQuality": 50, "imageFormat": "png"}, set()),
        ({"imageFormat": "jpeg"}, VIDEO),
        ({"imageFormat": "png"}, VIDEO),
        ({"imageFormat": "none"}, set()),
        ({"imageFormat": "webp"}, set()),
        ({"audioCodec": "aac"}, H26X | {"prores", "aac"}),
        ({"audioCodec": "mp3"}, {"h264", "mp3"}),
        ({"audioCodec": "opus"}, VPX),
        ({"audioCodec": "pcm-16"}, VIDEO - {"gif"} | AUDIO),
        ({"audioCodec": "flac"}, set()),
        ({"frameRange": [0, 9]}, VIDEO | AUDIO),
        ({"frameRange": [9, 9]}, VIDEO | AUDIO),
        ({"frameRange": [9, None]}, VIDEO | AUDIO),
        ({"frameRange": 9}, VIDEO | AUDIO),
        ({"frameRange": [9, 8]}, set()),
        ({"frameRange": [-1, 9]}, set()),
        ({"frameRange": [0, MAX_FRAMES]}, set()),
        ({"frameRange": [None, 9]}, set()),
        ({"frameRange": [0]}, set()),
        ({"frameRange": [0, 1, 2]}, set()),
        ({"frameRange": [[0, 1], [2, 3]]}, set()),
        ({"frameRange": [0, 9.5]}, set()),
        ({"frameRange": [False, True]}, set()),
        ({"frameRange": "0-9"}, set()),
        ({"frameRange": [0, 9], "durationInFrames": 10}, VIDEO | AUDIO),
        ({"frameRange": [0, 10], "durationInFrames": 10}, set()),
        ({"frameRange": [10, None], "durationInFrames": 10}, set()),
        ({"everyNthFrame": 1}, VIDEO),
        ({"everyNthFrame": 2}, VIDEO),
        ({"everyNthFrame": 0}, set()),
        ({"muted": True}, VIDEO),
        ({"muted": False}, VIDEO | AUDIO),
        ({"muted": "perhaps"}, set()),
        ({"pixelFormat": "yuv420p"}, H26X | VPX | {"prores"}),
        ({"pixelFormat": "yuv444p10le"}, H26X | VPX | {"prores"}),
        ({"pixelFormat": "yuva420p"}, set()),
        ({"pixelFormat": "yuva420p", "imageFormat": "jpeg"}, set()),
        ({"pixelFormat": "yuva420p", "imageFormat": "png"}, VPX),
        ({"pixelFormat": "yuva444p10le", "imageFormat": "png"}, H26X | {"vp9", "prores"}),
        ({"pixelFormat": "rgb24"}, set()),
        ({"x264Preset": "veryslow"}, {"h264"}),
        ({"x264Preset": "instant"}, set()),
        ({"proResProfile": "4444-xq"}, {"prores"}),
        ({"proResProfile": "5555"}, set()),
        ({"numberOfGifLoops": 0}, {"gif"}),
        ({"numberOfGifLoops": 65_535}, {"gif"}),
        ({"numberOfGifLoops": 65_536}, set()),
        ({"numberOfGifLoops": -1}, set()),
        ({"framesPerLambda": 5}, VIDEO | AUDIO),
        ({"framesPerLambda": 4}, set()),
        ({"framesPerLambda": 5, "frameRange": [0, 5 * MAX_LAMBDAS - 1]}, VIDEO | AUDIO),
        ({"framesPerLambda": 5, "frameRange": [0, 5 * MAX_LAMBDAS]}, set()),
        ({"framesPerLambda": 5, "frameRange": [0, 5 * MAX_LAMBDAS], "everyNthFrame": 2}, VIDEO),
        ({"framesPerLambda": 5, "durationInFrames": 5 * MAX_LAMBDAS + 1}, set()),
        (
            {"framesPerLambda": 5, "durationInFrames": 5 * MAX_LAMBDAS + 1, "frameRange": [1, None]},
            VIDEO | AUDIO,
        ),
        ({"fps": 29.97}, ALL),
        ({"fps": 50}, ALL),
        ({"fps": 60}, ALL - {"gif"}),
        ({"fps": 60, "everyNthFrame": 2}, VIDEO),
        ({"fps": 0}, set()),
        ({"fps": 1_001}, set()),
        ({"width": 1280, "height": 720}, ALL - AUDIO),
        ({"width": 1281, "height": 721}, ALL - AUDIO),
        ({"width": 1}, ALL - AUDIO - H26X),
        ({"width": 0}, set()),
        ({"height": 16_384}, ALL - AUDIO),
        ({"height": 16_385}, set()),
        ({"height": 720, "scale": 16}, ALL - AUDIO),
        ({"height": 1_080, "scale": 16}, set()),
        ({"width": 1_920, "scale": 0.5}, ALL - AUDIO),
        # 22.5 rounds to 23 pixels, and to no even number of them.
        ({"height": 45, "scale": 0.5}, ALL - AUDIO),
        ({"height": 55, "scale": 0.1}, ALL - AUDIO - H26X),
        ({"height": 4, "scale": 0.1}, set()),
        ({"durationInFrames": 1}, ALL),
        ({"durationInFrames": MAX_FRAMES}, ALL),
        ({"durationInFrames": MAX_FRAMES + 1}, set()),
        ({"durationInFrames": 0}, set()),
        ({"timeoutInMilliseconds": 7_000}, ALL),
        ({"timeoutInMilliseconds": 6_999}, set()),
        ({"timeoutInMilliseconds": 60_000}, ALL),
        ({"timeoutInMilliseconds": 60_001}, ALL - STILLS),
        ({"timeoutInMilliseconds": 900_000}, ALL - STILLS),
        ({"timeoutInMilliseconds": 900_001}, set()),
        ({"downloadBehavior": {"type": "play-in-browser"}}, ALL),
        ({"downloadBehavior": {"type": "download"}}, ALL),
        ({"downloadBehavior": {"type": "download", "fileName": None}}, ALL),
        ({"downloadBehavior": {"type": "download", "fileName": "Übersicht: Q3/4.mp4"}}, ALL),
        ({"downloadBehavior": {"type": "play-in-browser", "fileName": "a.mp4"}}, set()),
        ({"downloadBehavior": {"type": "stream"}}, set()),
        ({"downloadBehavior": {"fileName": "a.mp4"}}, set()),
        ({"downloadBehavior": {"type": "download", "fileName": "x" * 201}}, set()),
        ({"downloadBehavior": "download"}, set()),
    ],
)
def test_an_option_is_taken_with_the_codecs_that_can_do_it_and_refused_with_all_others(
    api, project, sent, options, codecs
):
    answers = {codec: ask(api, project, codec=codec, renderOptions=options) for codec in Codec.values}
    assert {codec for codec, answer in answers.items() if answer.status_code == 202} == codecs
    for codec in ALL - codecs:
        for pointer, sentence in errors(answers[codec]).items():
            assert pointer.startswith("/renderOptions/")
            assert sentence.endswith((".", "!"))
    assert ExportRequest.objects.count() == len(codecs)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"codec": "mp3", "renderOptions": {"crf": 18}},
            {
                "/renderOptions/crf": "mp3 has no use for crf: leave it out, or use the codec h264, h265, "
                "vp8 or vp9."
            },
        ),
        (
            {"codec": "vp8", "renderOptions": {"audioCodec": "aac"}},
            {"/renderOptions/audioCodec": "A file of vp8 can't carry it: use opus or pcm-16."},
        ),
        (
            {"codec": "h264", "renderOptions": {"crf": 0}},
            {"/renderOptions/crf": "For h264 it must be from 1 to 51, where lower is better."},
        ),
        (
            {"codec": "wav", "renderOptions": {"muted": True}},
            {"/renderOptions/muted": "Without its sound, nothing would be left of wav: leave it out."},
        ),
        (
            {"codec": "vp9", "renderOptions": {"pixelFormat": "yuva420p"}},
            {"/renderOptions/imageFormat": "yuva420p is transparent, which takes the imageFormat png."},
        ),
        (
            {"codec": "gif", "renderOptions": {"fps": 60}},
            {
                "/renderOptions/fps": "A GIF shows 50 frames a second at the most: lower it, or raise "
                "everyNthFrame."
            },
        ),
        (
            {"renderOptions": {"framesPerLambda": 5, "frameRange": [0, 9_999]}},
            {
                "/renderOptions/framesPerLambda": "For 10000 frames it must be at least 50: Remotion renders "
                "with 200 functions at the most."
            },
        ),
        (
            {"renderOptions": {"x264Preset": "instant"}},
            {
                "/renderOptions/x264Preset": '"instant" is none of ultrafast, superfast, veryfast, faster, '
                "fast, medium, slow, slower, veryslow, placebo."
            },
        ),
        (
            {"codec": "h264", "renderOptions": {"height": 55, "scale": 0.1}},
            {
                "/renderOptions/height": "h264 takes whole pixels, and an even number of them: scaled, and "
                "rounded down to an even one, it is 5.5."
            },
        ),
    ],
)
def test_a_refusal_says_what_to_do(api, project, sent, body, expected):
    assert errors(ask(api, project, **body)) == expected


def test_all_that_is_wrong_is_told_at_once(api, project, sent):
    body = {
        "codec": "gif",
        "frame": 3,
        "inputProps": {"title": 7},
        "renderOptions": {"fps": 60, "frameRange": [9, 8]},
    }
    assert list(errors(ask(api, project, **body))) == [
        "/inputProps/title",
        "/renderOptions/frameRange",
        "/renderOptions/fps",
        "/frame",
    ]


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"Crf": 18}, "/renderOptions/Crf"),
        ({"timeout": 9_000}, "/renderOptions/timeout"),
        ({"crf": None}, "/renderOptions/crf"),
        ({"downloadBehavior": {"type": "download", "name": "x"}}, "/renderOptions/downloadBehavior/name"),
        ([], "/renderOptions"),
        (None, "/renderOptions"),
    ],
)
def test_what_is_no_option_is_named_by_its_pointer(api, project, sent, options, pointer):
    assert list(errors(ask(api, project, renderOptions=options))) == [pointer]


# --- Stills -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "frame"),
    [
        ({}, 0),
        ({"frame": 0}, 0),
        ({"frame": 149}, 149),
        ({"frame": -1}, -1),
        ({"frame": -10, "renderOptions": {"durationInFrames": 10}}, -10),
        ({"frame": 9, "renderOptions": {"durationInFrames": 10}}, 9),
    ],
)
def test_a_still_shows_the_frame_that_was_asked_for(api, project, sent, body, frame):
    assert ask(api, project, codec="png", **body).status_code == 202
    [message] = sent.messages
    assert isinstance(message, StartMessage)
    assert (message.render_config.codec, message.render_config.frame) == ("png", frame)


@pytest.mark.parametrize(
    "body",
    [
        {"codec": "h264", "frame": 0},
        {"codec": "mp3", "frame": 5},
        {"codec": "png", "frame": 10, "renderOptions": {"durationInFrames": 10}},
        {"codec": "png", "frame": -11, "renderOptions": {"durationInFrames": 10}},
        {"codec": "png", "frame": MAX_FRAMES},
        {"codec": "png", "frame": 1.5},
        {"codec": "png", "frame": None},
    ],
)
def test_a_frame_that_cannot_be_shown_is_refused(api, project, sent, body):
    assert list(errors(ask(api, project, **body))) == ["/frame"]
    assert ExportRequest.objects.count() == 0


def test_a_project_of_stills_gives_its_codec_to_its_exports(api, project, sent):
    assert api.patch(f"/api/projects/{project.pk}", {"codec": "webp"}, format="json").status_code == 200
    assert ask(api, project, frame=7).status_code == 202
    assert ask(api, project, renderOptions={"crf": 18}).status_code == 400
    row = ExportRequest.objects.get()
    assert (row.codec, row.frame) == ("webp", 7)


# --- What becomes of it -------------------------------------------------------------------------------------


def test_what_was_asked_for_reaches_the_worker_and_can_be_read_back(api, project, sent):
    options = {
        "scale": 0.5,
        "crf": 28,
        "audioCodec": "pcm-16",
        "frameRange": [30, None],
        "muted": False,
        "fps": 25.0,
        "downloadBehavior": {"type": "download", "fileName": "Q3.mkv"},
    }
    export_id = ask(api, project, renderOptions=options).json()["exportId"]
    status = api.get(f"/api/exports/{export_id}/status").json()
    assert (status["renderOptions"], status["frame"]) == (options, None)
    [message] = sent.messages
    assert message.dump()["renderConfig"]["renderOptions"] == options


def test_one_frame_is_a_range_of_one(api, project, sent):
    export_id = ask(api, project, renderOptions={"frameRange": 7}).json()["exportId"]
    status = api.get(f"/api/exports/{export_id}/status").json()
    assert status["renderOptions"] == {"frameRange": [7, 7]}


def test_an_export_without_options_says_so_and_sends_none(api, project, sent):
    export_id = ask(api, project, renderOptions={}).json()["exportId"]
    status = api.get(f"/api/exports/{export_id}/status").json()
    assert (status["renderOptions"], status["frame"]) == ({}, None)
    config = sent.messages[0].dump()["renderConfig"]
    assert {"frame", "renderOptions"}.isdisjoint(config)


def test_a_further_attempt_is_rendered_as_the_first(api, project, sent):
    export_id = ask(api, project, codec="jpeg", frame=-1, renderOptions={"jpegQuality": 9}).json()["exportId"]
    ExportRequest.objects.update(status="cancelled", slot=None, user_slot=None, due_at=None)
    assert api.post(f"/api/exports/{export_id}/retry").status_code == 202
    first, second = (message.render_config for message in sent.messages)
    assert first == second


@pytest.mark.parametrize(
    ("body", "extension"),
    [
        ({"codec": "h264"}, "mp4"),
        ({"codec": "h264", "renderOptions": {"audioCodec": "mp3"}}, "mp4"),
        ({"codec": "h264", "renderOptions": {"audioCodec": "pcm-16"}}, "mkv"),
        ({"codec": "mp3", "renderOptions": {"audioCodec": "pcm-16"}}, "wav"),
        ({"codec": "jpeg"}, "jpeg"),
        ({"codec": "pdf"}, "pdf"),
    ],
)
def test_the_file_has_the_extension_of_what_is_in_it(client, api, project, sent, outputs, body, extension):
    export_id = ask(api, project, **body).json()["exportId"]
    ExportRequest.objects.update(status="processing", start_token="t")
    export = ExportRequest.objects.get()
    outputs[f"renders/export-{export_id}.{extension}"] = 42
    native = remotion_body(export)
    post_webhook(client, native, signing.sign(native, secret="new-secret", scheme=signing.Scheme.REMOTION))
    status = api.get(f"/api/exports/{export_id}/status").json()
    assert (status["status"], status["outputSizeBytes"]) == ("completed", 42)
    assert f"/export-{export_id}.{extension}?" in status["outputUrl"]


def test_a_poll_names_the_audio_codec_so_that_the_worker_knows_the_file(api, project, sent):
    ask(api, project, renderOptions={"audioCodec": "pcm-16"})
    now = timezone.now()
    ExportRequest.objects.update(
        status="processing", start_token="t", render_id="r1", bucket_name="b", started_at=now, due_at=now
    )
    services.handle_due(queue=sent, now=now)
    poll = sent.messages[-1]
    assert isinstance(poll, PollMessage)
    assert (poll.codec, poll.audio_codec) == ("h264", "pcm-16")

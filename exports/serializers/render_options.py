"""How to render, as an export's request says it: the kinds of the options, and what each may be by itself.

What an option may be beside a codec and other options is told by :mod:`exports.render_options`.
"""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from exports import render_options as rules
from exports.serializers.fields import StrictSerializer


def _one_of(names: Sequence[str], help_text: str, *, required: bool = False) -> serializers.ChoiceField:
    words: dict[str, Any] = {"invalid_choice": f'"{{input}}" is none of {", ".join(names)}.'}
    return serializers.ChoiceField(
        choices=names, required=required, help_text=help_text, error_messages=words
    )


def _whole(least: int, greatest: int, help_text: str) -> serializers.IntegerField:
    return serializers.IntegerField(min_value=least, max_value=greatest, required=False, help_text=help_text)


_FRAME = {"type": "integer", "minimum": 0, "maximum": rules.MAX_FRAMES - 1}


@extend_schema_field(
    {
        "oneOf": [
            _FRAME,
            {"type": "array", "minItems": 2, "maxItems": 2, "items": {**_FRAME, "nullable": True}},
        ],
        "example": [30, 119],
    }
)
class FrameRangeField(serializers.Field[Any, Any, Any, Any]):
    """The first and the last frame, or one frame alone."""

    default_error_messages = {
        "invalid": "It must be [first, last], both counted from 0 and both rendered, with null for the last "
        "to go on to the end; or one frame's number.",
        "beyond": f"A frame's number is from 0 to {rules.MAX_FRAMES - 1:,}.",
    }

    def to_internal_value(self, data: Any) -> list[int | None]:
        """Return the first and the last frame, ``None`` for the last where it goes on to the end."""
        frames = data if isinstance(data, list) else [data, data]
        if len(frames) != 2:
            self.fail("invalid")
        first, last = frames
        return [self._frame(first), None if isinstance(data, list) and last is None else self._frame(last)]

    def to_representation(self, value: Any) -> Any:
        """Show it as it is stored."""
        return value

    def _frame(self, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            self.fail("invalid")
        if not 0 <= value < rules.MAX_FRAMES:
            self.fail("beyond")
        return value


class DownloadBehaviorSerializer(StrictSerializer):
    """What a browser does that opens the file's address."""

    type = _one_of(("play-in-browser", "download"), "Whether it shows the file, or saves it.", required=True)
    fileName = serializers.CharField(
        max_length=200,
        required=False,
        allow_null=True,
        help_text="Of a download: the name to save it under.",
    )


class RenderOptionsSerializer(StrictSerializer):
    """How to render; every option as Remotion names and means it, and as its default where it is left out."""

    scale = serializers.FloatField(
        max_value=rules.MAX_SCALE,
        required=False,
        help_text="By what to multiply width and height. Greater than 0.",
    )
    crf = _whole(0, 63, "The quality of h264, h265, vp8 or vp9, where lower is better and larger.")
    jpegQuality = _whole(0, 100, "Of the frames, or of a jpeg.")
    imageFormat = _one_of(rules.IMAGE_FORMATS, "Of the frames of a video; a transparent one needs png.")
    audioCodec = _one_of(
        ("aac", "mp3", "opus", "pcm-16"),
        "What the sound is encoded with. With pcm-16 the file is an mkv instead of an mp4 or webm, a wav "
        "instead of an mp3 or aac.",
    )
    frameRange = FrameRangeField(required=False)
    everyNthFrame = _whole(1, rules.MAX_FRAMES, "Of a video: skip the frames between, at the same speed.")
    muted = serializers.BooleanField(required=False, help_text="Of a video: leave out the sound.")
    pixelFormat = _one_of(rules.PIXEL_FORMATS, "Of a video. Those with an a carry transparency.")
    x264Preset = _one_of(rules.X264_PRESETS, "Of h264: how much time to spend on a smaller file.")
    proResProfile = _one_of(rules.PRO_RES_PROFILES, "Of prores.")
    numberOfGifLoops = _whole(0, rules.MAX_GIF_LOOPS, "How often a GIF begins anew; left out, it never ends.")
    framesPerLambda = _whole(
        rules.MIN_FRAMES_PER_LAMBDA,
        rules.MAX_FRAMES,
        f"How many frames each function renders; there are {rules.MAX_LAMBDAS} functions at the most.",
    )
    fps = serializers.FloatField(
        max_value=rules.MAX_FPS, required=False, help_text="In place of the composition's own."
    )
    width = _whole(1, rules.MAX_PIXELS, "In place of the composition's own; pixels, before scale.")
    height = _whole(1, rules.MAX_PIXELS, "In place of the composition's own; pixels, before scale.")
    durationInFrames = _whole(1, rules.MAX_FRAMES, "In place of the composition's own.")
    timeoutInMilliseconds = _whole(
        rules.MIN_TIMEOUT_MS,
        rules.MAX_TIMEOUT_MS,
        f"How long the composition may wait for what it loads; for a still {rules.MAX_STILL_TIMEOUT_MS} at "
        "the most.",
    )
    downloadBehavior = DownloadBehaviorSerializer(required=False)

"""Which options a render may have, so that one that Remotion would refuse is refused before it is recorded.

The ranges and combinations are those of ``@remotion/renderer`` and Remotion's function, version 4.0.527.
Beside them, an option that the codec has no use for is refused: Remotion would ignore it without a word.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from lambda_worker.contract import STILLS, RenderOptions

AUDIO: Final = frozenset({"mp3", "aac", "wav"})
VIDEO: Final = frozenset({"h264", "h265", "vp8", "vp9", "prores", "gif"})
MEDIA: Final = VIDEO | AUDIO

CRF_RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "h264": (1, 51),
    "h265": (0, 51),
    "vp8": (4, 63),
    "vp9": (0, 63),
}

AUDIO_CODECS: Final[Mapping[str, tuple[str, ...]]] = {
    "h264": ("aac", "pcm-16", "mp3"),
    "h265": ("aac", "pcm-16"),
    "vp8": ("opus", "pcm-16"),
    "vp9": ("opus", "pcm-16"),
    "prores": ("aac", "pcm-16"),
    "mp3": ("mp3", "pcm-16"),
    "aac": ("aac", "pcm-16"),
    "wav": ("pcm-16",),
}

PIXEL_FORMATS: Final = (
    "yuv420p",
    "yuva420p",
    "yuv422p",
    "yuv444p",
    "yuv420p10le",
    "yuv422p10le",
    "yuv444p10le",
    "yuva444p10le",
)
TRANSPARENT: Final = frozenset({"yuva420p", "yuva444p10le"})

UNFIT_PIXEL_FORMATS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("h264", "h265", "prores"), frozenset({"yuva420p"})),
    # Remotion itself lets it pass, and the encoder then gives up.
    "vp8": frozenset({"yuva444p10le"}),
}

IMAGE_FORMATS: Final = ("jpeg", "png")
X264_PRESETS: Final = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)
PRO_RES_PROFILES: Final = ("4444-xq", "4444", "hq", "standard", "light", "proxy")

MAX_SCALE: Final = 16
MAX_GIF_FPS: Final = 50
MIN_TIMEOUT_MS: Final = 7_000
MIN_FRAMES_PER_LAMBDA: Final = 5
MAX_LAMBDAS: Final = 200

# What Remotion sets no limit to has one here: the most that an encoder, or Remotion's function, can do with.
MAX_FRAMES: Final = 1_000_000
MAX_FPS: Final = 1_000
MAX_PIXELS: Final = 16_384
MAX_GIF_LOOPS: Final = 65_535
MAX_TIMEOUT_MS: Final = 900_000
MAX_STILL_TIMEOUT_MS: Final = 60_000
"""The worker waits for a still."""

CODECS_OF: Final[Mapping[str, frozenset[str]]] = {
    "scale": VIDEO | STILLS,
    "crf": frozenset(CRF_RANGES),
    "jpegQuality": VIDEO | {"jpeg"},
    "imageFormat": VIDEO,
    "audioCodec": frozenset(AUDIO_CODECS),
    "frameRange": MEDIA,
    # With audio alone Remotion cuts off what it should have skipped.
    "everyNthFrame": VIDEO,
    "muted": MEDIA,
    "pixelFormat": VIDEO - {"gif"},
    "x264Preset": frozenset({"h264"}),
    "proResProfile": frozenset({"prores"}),
    "numberOfGifLoops": frozenset({"gif"}),
    "framesPerLambda": MEDIA,
    "fps": MEDIA | STILLS,
    "width": VIDEO | STILLS,
    "height": VIDEO | STILLS,
    "durationInFrames": MEDIA | STILLS,
    "timeoutInMilliseconds": MEDIA | STILLS,
    "downloadBehavior": MEDIA | STILLS,
}
"""Which codecs have a use for an option, by its name on the wire."""

_WHOLE_PIXELS: Final = frozenset({"h264", "h265"})
"""Remotion gives these encoders the size as it comes out, and rounds it down to an even one before."""

Error = tuple[str, str]
"""The JSON pointer of what is wrong, within the options, and a sentence."""


def option_errors(options: RenderOptions, *, codec: str) -> list[Error]:
    """Return what is wrong with options, each of which is of the right kind, for a codec."""
    unfit = [name for name in options.dump() if codec not in CODECS_OF[name]]
    if unfit:
        return [(f"/{name}", _unfit(name, codec)) for name in unfit]
    return [error for check in _CHECKS for error in check(options, codec)]


def frame_error(frame: int | None, options: RenderOptions, *, codec: str) -> str | None:
    """Return what is wrong with the frame of a still, ``None`` where it is right or there is none."""
    if frame is None:
        return None
    if codec not in STILLS:
        return (
            f"A frame is what a still shows, and {codec} is no still: leave it out, or use the codec "
            f"{_either(STILLS)}. What a video shows is said by renderOptions.frameRange."
        )
    frames = options.duration_in_frames
    if frames is not None and not -frames <= frame < frames:
        return f"With a durationInFrames of {frames} it must be from {-frames} to {frames - 1}."
    return None


def _unfit(name: str, codec: str) -> str:
    return f"{codec} has no use for {name}: leave it out, or use the codec {_either(CODECS_OF[name])}."


def _crf(options: RenderOptions, codec: str) -> Iterator[Error]:
    if options.crf is None:
        return
    least, greatest = CRF_RANGES[codec]
    if not least <= options.crf <= greatest:
        yield "/crf", f"For {codec} it must be from {least} to {greatest}, where lower is better."


def _audio(options: RenderOptions, codec: str) -> Iterator[Error]:
    if options.audio_codec is not None and options.audio_codec not in AUDIO_CODECS[codec]:
        yield "/audioCodec", f"A file of {codec} can't carry it: use {_either(AUDIO_CODECS[codec])}."
    if options.muted and codec in AUDIO:
        yield "/muted", f"Without its sound, nothing would be left of {codec}: leave it out."


def _pictures(options: RenderOptions, codec: str) -> Iterator[Error]:
    is_png = options.image_format == "png"
    if options.pixel_format in UNFIT_PIXEL_FORMATS.get(codec, ()):
        fit = [each for each in PIXEL_FORMATS if each not in UNFIT_PIXEL_FORMATS[codec]]
        yield "/pixelFormat", f"{codec} can't encode it: use {_either(fit)}."
    elif options.pixel_format in TRANSPARENT and not is_png:
        yield "/imageFormat", f"{options.pixel_format} is transparent, which takes the imageFormat png."
    if options.jpeg_quality is not None and is_png:
        yield "/jpegQuality", "The imageFormat png has no quality: leave it out, or use jpeg."


def _frames(options: RenderOptions, codec: str) -> Iterator[Error]:
    first, last = options.frame_range or (0, None)
    frames = options.duration_in_frames
    if first is None or (last is not None and last < first):
        yield "/frameRange", "The last frame must not come before the first."
        return
    furthest = first if last is None else last
    if frames is not None and furthest >= frames:
        yield "/frameRange", f"With a durationInFrames of {frames} the last frame is {frames - 1}."
        return
    if last is None and frames is not None:
        last = frames - 1
    if last is not None and options.frames_per_lambda is not None:
        rendered = math.ceil((last - first + 1) / (options.every_nth_frame or 1))
        if rendered > options.frames_per_lambda * MAX_LAMBDAS:
            yield (
                "/framesPerLambda",
                f"For {rendered} frames it must be at least {math.ceil(rendered / MAX_LAMBDAS)}: Remotion "
                f"renders with {MAX_LAMBDAS} functions at the most.",
            )


def _speed(options: RenderOptions, codec: str) -> Iterator[Error]:
    if options.fps is None:
        return
    if options.fps <= 0:
        yield "/fps", "It must be greater than 0."
    elif codec == "gif" and options.fps / (options.every_nth_frame or 1) > MAX_GIF_FPS:
        yield (
            "/fps",
            f"A GIF shows {MAX_GIF_FPS} frames a second at the most: lower it, or raise everyNthFrame.",
        )


def _size(options: RenderOptions, codec: str) -> Iterator[Error]:
    scale = 1.0 if options.scale is None else options.scale
    if scale <= 0:
        yield "/scale", "It must be greater than 0."
        return
    for name, pixels in (("width", options.width), ("height", options.height)):
        if pixels is None:
            continue
        scaled = pixels * scale
        if codec in _WHOLE_PIXELS:
            scaled = _even(pixels, scale) * scale
        if scaled > MAX_PIXELS:
            yield f"/{name}", f"Scaled it is {scaled:g}, and must be {MAX_PIXELS:,} at the most."
        elif codec in _WHOLE_PIXELS and (scaled < 1 or not scaled.is_integer()):
            yield (
                f"/{name}",
                f"{codec} takes whole pixels, and an even number of them: scaled, and rounded down to an "
                f"even one, it is {scaled:g}.",
            )
        elif _round(scaled) < 1:
            yield f"/{name}", "Scaled, nothing is left of it."


def _timeout(options: RenderOptions, codec: str) -> Iterator[Error]:
    if codec in STILLS and (options.timeout_in_milliseconds or 0) > MAX_STILL_TIMEOUT_MS:
        yield "/timeoutInMilliseconds", f"For a still it must be {MAX_STILL_TIMEOUT_MS:,} at the most."


def _download(options: RenderOptions, codec: str) -> Iterator[Error]:
    behavior = options.download_behavior
    if behavior is not None and behavior.type != "download" and behavior.file_name is not None:
        yield "/downloadBehavior/fileName", "Only a download has a file name: leave it out."


_CHECKS: Final[tuple[Callable[[RenderOptions, str], Iterator[Error]], ...]] = (
    _crf,
    _audio,
    _pictures,
    _frames,
    _speed,
    _size,
    _timeout,
    _download,
)


def _even(pixels: int, scale: float) -> int:
    """Return the most of these pixels that are an even number when scaled, as Remotion counts them."""
    while _round(pixels * scale) % 2:
        pixels -= 1
    return pixels


def _round(value: float) -> int:
    # As JavaScript does it.
    return math.floor(value + 0.5)


def _either(names: frozenset[str] | tuple[str, ...] | list[str]) -> str:
    ordered = sorted(names) if isinstance(names, frozenset) else list(names)
    *most, last = ordered
    return f"{', '.join(most)} or {last}" if most else last

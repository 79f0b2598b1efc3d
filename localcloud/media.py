"""What a media file holds, as told by the ffprobe that Remotion's packages carry."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from localcloud.errors import LocalCloudError
from localcloud.paths import RENDERER

_TIMEOUT_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """The first video stream of a file, or its picture, and the file's sound, length and size.

    Attributes:
        audio_codec: of the first audio stream, ``None`` where there is none.
        duration_s: of a picture it says nothing.
    """

    codec: str
    width: int
    height: int
    audio_codec: str | None
    duration_s: float
    size_bytes: int


def probe(path: Path) -> Video:
    """Read what ``path`` holds.

    Raises:
        LocalCloudError: there is no ffprobe for this machine, or the file is neither a video nor a picture.
    """
    entries = "format=duration:stream=codec_type,codec_name,width,height"
    arguments = ["-v", "error", "-show_entries", entries, "-of", "json", str(path)]
    problem = f"no ffprobe in {RENDERER / 'node_modules'}"
    # npm may have installed one for each C library; only the right one starts.
    for ffprobe in sorted(RENDERER.glob("node_modules/@remotion/compositor-*/ffprobe*")):
        # Its libraries lie beside it.
        folder = str(ffprobe.parent)
        environment = {**os.environ, "LD_LIBRARY_PATH": folder, "DYLD_LIBRARY_PATH": folder}
        try:
            done = subprocess.run(
                [ffprobe, *arguments],
                env=environment,
                capture_output=True,
                text=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except OSError as error:
            problem = str(error)
            continue
        if done.returncode == 0:
            return _read(path, json.loads(done.stdout))
        problem = done.stderr.strip()
    raise LocalCloudError(f"{path} could not be checked: {problem}")


def _read(path: Path, answer: dict[str, Any]) -> Video:
    streams = {stream["codec_type"]: stream for stream in reversed(answer.get("streams", []))}
    match streams.get("video"):
        case {"codec_name": str(codec), "width": int(width), "height": int(height)}:
            pass
        case _:
            raise LocalCloudError(f"{path} holds neither a video nor a picture")
    return Video(
        codec=codec,
        width=width,
        height=height,
        audio_codec=streams["audio"]["codec_name"] if "audio" in streams else None,
        duration_s=float(answer.get("format", {}).get("duration", 0)),
        size_bytes=path.stat().st_size,
    )

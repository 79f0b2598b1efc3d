"""The demo: one export, asked for through the API and made by the whole system."""

import time
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from localcloud.api_client import ApiClient, download
from localcloud.completion import await_completed
from localcloud.errors import LocalCloudError
from localcloud.media import Video, probe
from localcloud.paths import BUILD, ROOT
from localcloud.progress_bar import ProgressBar
from localcloud.system import System, running_system

OUTPUT: Final = BUILD / "demo.mp4"

# The steps between two lines of an export's timeline, as a person would call them.
_HOPS: Final = {
    ("created", "claimed"): "queue, and a worker that takes it",
    ("claimed", "started"): "start at Remotion",
    ("started", "completed"): "render, upload and webhook",
    ("claimed", "completed"): "start, render, upload and webhook",
}


def run_demo(database: Mapping[str, str]) -> None:
    """Bring the system up, export the sample composition, and leave the video as :data:`OUTPUT`.

    Args:
        database: the variables that name another database than the checkout's own.

    Raises:
        LocalCloudError: something failed; the text says what, and where the logs are.
    """
    began = time.monotonic()
    print("Starting the system …", flush=True)
    with running_system(database=database) as system:
        started_s = time.monotonic() - began
        video, hops = _export(system)
    print(
        f"\n{_shown(OUTPUT)}: {video.duration_s:.1f} s of {video.width} by {video.height} {video.codec}, "
        f"{video.size_bytes / 1e6:.2f} MB\n"
    )
    for name, seconds in [("system start", started_s), *hops]:
        print(f"  {name:<36} {seconds:7.2f} s")
    print(f"  {'all, with the system stopped again':<36} {time.monotonic() - began:7.2f} s")


def _export(system: System) -> tuple[Video, list[tuple[str, float]]]:
    api = ApiClient(system.address)
    demo = system.demo
    api.sign_in(demo.username, demo.password)
    print(f"Exporting a video as {demo.username} at {system.address} …", flush=True)
    asked = time.monotonic()
    accepted = api.call("POST", f"/api/exports/projects/{demo.project_id}/export", {})
    answered = time.monotonic()
    with ProgressBar() as bar:
        status = await_completed(
            system,
            api,
            accepted["exportId"],
            on_status=lambda status: bar.show(status["status"], status["progress"]),
        )
    events = api.call("GET", f"/api/exports/{accepted['exportId']}/events")["events"]
    before_download = time.monotonic()
    download(status["outputUrl"], OUTPUT)
    downloaded = time.monotonic()
    video = probe(OUTPUT)
    if video.size_bytes != status["outputSizeBytes"]:
        raise LocalCloudError(
            f"{_shown(OUTPUT)} has {video.size_bytes} bytes, the API says {status['outputSizeBytes']}"
        )
    hops = [("request and its answer", answered - asked), *_hops(events)]
    return video, [*hops, ("download", downloaded - before_download)]


def _hops(events: list[dict[str, str]]) -> list[tuple[str, float]]:
    return [
        (
            _HOPS.get((before["type"], after["type"]), f"{before['type']} to {after['type']}"),
            (datetime.fromisoformat(after["at"]) - datetime.fromisoformat(before["at"])).total_seconds(),
        )
        for before, after in pairwise(events)
    ]


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))

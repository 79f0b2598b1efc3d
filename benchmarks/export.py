"""What the whole system adds to a bare render, measured side by side: ``python -m benchmarks.export``.

In turn, on the same machine and in the same run, after one of each to warm up:

* an export through the API, from the POST to ``completed``, as a client with a socket sees it;
* ``renderMedia()`` alone, in a process of its own (``bare_render.mjs``).

The same in both: Remotion's version, the browser's program and flags, the composition, its props, the codec,
the concurrency, and that browser and bundle are kept between renders. Both files are compared byte by byte.

Not the same: the system's renderer reads the bundle from the bucket and selects the composition each time, as
Remotion Lambda does, where the bare one has its bundle in a folder and has selected the composition before.
While it renders, the system also writes the progress and looks at it every second, through queue and worker.

A round during which other processes used more than a tenth of a processor isn't counted, and another follows.
"""

import argparse
import filecmp
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Final

from benchmarks.usage import OtherProcesses, cpu_seconds
from localcloud.api_client import ApiClient, download
from localcloud.browser import find_browser
from localcloud.completion import await_completed
from localcloud.errors import LocalCloudError
from localcloud.paths import BUILD, ROOT, SITE
from localcloud.ports import bypass_proxies
from localcloud.system import System, running_system

RESULT: Final = BUILD / "bench-export.json"

_CALM: Final = 0.1
"""How many processors may be busy with something else."""

_MOST_ROUNDS: Final = 4
"""As many times the rounds that are asked for may be needed to find calm ones."""

TOTAL: Final = "whole system, POST to completed"
BARE: Final = "bare renderMedia()"
ADDED: Final = "what the system adds"

# One after the other, these are the whole of an export.
HOPS: Final = (
    "request, until it is recorded",
    "queue, worker and claim",
    "start at Remotion",
    "opening the site, selecting the composition",
    "renderMedia() inside the system",
    "upload",
    "webhook, and the end recorded",
    "push to the client",
)
ANSWER: Final = "POST, until it is answered"
CPU_SYSTEM: Final = "CPU-seconds of the whole system"
CPU_BARE: Final = "CPU-seconds of the bare render"
OTHERS: Final = "processors busy with something else"

Figures = dict[str, float]


class BareRenderer:
    """The process that renders with nothing around it.

    Attributes:
        pid: its id.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        """Wait until the process is ready.

        Raises:
            LocalCloudError: it has ended instead.
        """
        self.pid = process.pid
        self._process = process
        self._read()

    def render(self, output: Path) -> float:
        """Render into ``output`` and return the seconds that ``renderMedia()`` took.

        Raises:
            LocalCloudError: it failed.
        """
        _pipe(self._process.stdin).write(f"{output}\n")
        _pipe(self._process.stdin).flush()
        return float(self._read()["renderMs"]) / 1000

    def _read(self) -> dict[str, Any]:
        line = _pipe(self._process.stdout).readline()
        if not line:
            raise LocalCloudError("the bare render failed; what it said stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def bare_renderer(options: dict[str, Any]) -> Iterator[BareRenderer]:
    """Run the bare renderer while the ``with`` block does.

    Args:
        options: what ``bare_render.mjs`` takes.
    """
    script = Path(__file__).with_name("bare_render.mjs")
    process = subprocess.Popen(
        ["node", script, json.dumps(options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield BareRenderer(process)
    finally:
        process.communicate()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None  # noqa: S101  # both were asked for
    return stream


def export_once(system: System, api: ApiClient, output: Path) -> Figures:
    """Export through the API, store the file, and return the seconds of each part.

    Raises:
        LocalCloudError: the export was not completed.
    """
    asked = time.time()
    accepted = api.call("POST", f"/api/exports/projects/{system.demo.project_id}/export", {})
    answered = time.time()
    status = await_completed(system, api, accepted["exportId"])
    ended = time.time()

    events = api.call("GET", f"/api/exports/{accepted['exportId']}/events")["events"]
    at = {event["type"]: datetime.fromisoformat(event["at"]).timestamp() for event in events}
    render = _render_state(system, status["bucketName"], status["renderId"])
    done = render["postRenderData"]
    moments = [
        asked,
        at["created"],
        at["claimed"],
        render["functionLaunched"] / 1000,
        render["compositionValidated"] / 1000,
        render["timings"][0]["rendered"] / 1000,
        done["endTime"] / 1000,
        at["completed"],
        ended,
    ]
    download(status["outputUrl"], output)
    hops = zip(HOPS, (after - before for before, after in pairwise(moments)), strict=True)
    return {TOTAL: ended - asked, ANSWER: answered - asked, **dict(hops)}


def _render_state(system: System, bucket: str, render_id: str) -> dict[str, Any]:
    """Return what the renderer has noted of a render, its moments in Unix milliseconds."""
    s3 = system.cloud.account.client("s3")
    # Written before Remotion's webhook is sent, so it lies there once the export is completed.
    state: dict[str, Any] = json.load(
        s3.get_object(Bucket=bucket, Key=f"renders/{render_id}/progress.json")["Body"]
    )
    return state


def measure(runs: int) -> dict[str, Any]:
    """Return what was measured, ready for JSON: the conditions, and the seconds of each run.

    Raises:
        LocalCloudError: a render failed, or the machine was never calm.
    """
    print("Starting the system …", file=sys.stderr, flush=True)
    load_before = os.getloadavg()
    with running_system() as system, tempfile.TemporaryDirectory() as folder:
        api = ApiClient(system.address)
        api.sign_in(system.demo.username, system.demo.password)
        project = api.call("GET", f"/api/projects/{system.demo.project_id}")
        cores = len(os.sched_getaffinity(0))
        options = {
            "serveUrl": str(SITE),
            "composition": project["compositionId"],
            "inputProps": project["inputProps"],
            "codec": project["codec"],
            "concurrency": cores,
            "browserExecutable": str(find_browser()),
        }
        ours, bares = Path(folder, "system.mp4"), Path(folder, "bare.mp4")
        with bare_renderer(options) as bare:
            rounds: list[Figures] = []
            # The first is to warm up.
            _one_round(system, api, bare, ours, bares)
            for _ in range(runs * _MOST_ROUNDS):
                figures = _one_round(system, api, bare, ours, bares)
                said = f"{figures[TOTAL]:.2f} s, bare {figures[BARE]:.2f} s"
                if figures[OTHERS] <= _CALM:
                    rounds.append(figures)
                else:
                    said += f"; not counted, since {figures[OTHERS]:.2f} processors were busy otherwise"
                print(said, file=sys.stderr, flush=True)
                if len(rounds) == runs:
                    break
            else:
                raise LocalCloudError("the machine does too much else to measure anything: try again later")
        same = filecmp.cmp(ours, bares, shallow=False)
        size_bytes = ours.stat().st_size
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": cores,
        "load": {"before": load_before, "after": os.getloadavg()},
        "composition": project["compositionId"],
        "codec": project["codec"],
        "size_bytes": size_bytes,
        "files_are_identical": same,
        "rounds": rounds,
    }


def _one_round(system: System, api: ApiClient, bare: BareRenderer, ours: Path, bares: Path) -> Figures:
    # All that this process has started but the bare renderer is the system.
    def used() -> tuple[float, float]:
        of_bare = cpu_seconds(bare.pid)
        return cpu_seconds(os.getpid()) - of_bare, of_bare

    others = OtherProcesses()
    before = used()
    figures = export_once(system, api, ours)
    between = used()
    figures[BARE] = bare.render(bares)
    after = used()
    figures[ADDED] = figures[TOTAL] - figures[BARE]
    figures[CPU_SYSTEM] = between[0] - before[0]
    figures[CPU_BARE] = after[1] - between[1]
    figures[OTHERS] = others.busy_processors()
    return figures


def as_table(rounds: Sequence[Figures]) -> str:
    """Return the figures as a Markdown table: median, least and most of each, in seconds."""
    lines = ["| | median | least | most |", "|---|--:|--:|--:|"]
    for name in (TOTAL, BARE, ADDED, ANSWER, *HOPS, CPU_SYSTEM, CPU_BARE, OTHERS):
        values = [figures[name] for figures in rounds]
        cells = (statistics.median(values), min(values), max(values))
        lines.append(f"| {name} | " + " | ".join(f"{value:.2f}" for value in cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """Measure, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.export", description="Compare an export to a bare render."
    )
    parser.add_argument("--runs", type=int, default=5, help="rounds that count (5)")
    runs = parser.parse_args().runs
    if runs < 1:
        parser.error("--runs must be 1 or more")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    bypass_proxies()
    try:
        result = measure(runs)
    except LocalCloudError as error:
        print(f"renderhub: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(
        f"\nSeconds, {runs} runs of each in turn, {result['cores']} cores; "
        f"{result['composition']}, {result['codec']}, {result['size_bytes']:,} bytes, "
        f"{'the same' if result['files_are_identical'] else 'NOT the same'} both ways.\n"
    )
    print(as_table(result["rounds"]))
    print(f"\n{RESULT.relative_to(ROOT)} has every run.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

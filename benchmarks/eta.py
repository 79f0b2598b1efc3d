"""How right ``etaSeconds`` is over real renders: ``python -m benchmarks.eta``.

The running system exports the sample composition at several lengths, one after the other, while a client
reads the status several times a second. At 10, 25, 50 and 75 % of the progress, what was told is compared to
what was left in truth: the error is their difference, by what was left.
"""

import argparse
import json
import signal
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from localcloud.api_client import ApiClient
from localcloud.errors import LocalCloudError
from localcloud.paths import BUILD, ROOT
from localcloud.ports import bypass_proxies
from localcloud.system import System, running_system

RESULT: Final = BUILD / "bench-eta.json"
LENGTHS_S: Final = (3, 10, 25)
MARKS: Final = (0.10, 0.25, 0.50, 0.75)
SAMPLE_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A status as a client read it.

    Attributes:
        at_s: when, since the export was asked for.
        progress: from 0 to 1.
        told_s: ``etaSeconds``.
        updated_at: when it last rose or moved.
    """

    at_s: float
    progress: float
    told_s: float | None
    updated_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One export.

    Attributes:
        length_s: how long its video is.
        took_s: from asking to the end.
        started_at, completed_at: of the render, as the status tells.
        samples: what the client read on the way.
    """

    length_s: float
    took_s: float
    started_at: str
    completed_at: str
    samples: Sequence[Sample]

    def at(self, mark: float) -> Sample | None:
        """Return the first status with this progress that tells how long it takes, ``None`` without one."""
        told = (each for each in self.samples if each.told_s is not None)
        return next((each for each in told if each.progress >= mark), None)

    def error_at(self, mark: float) -> float | None:
        """Return by how much of what was left the status was wrong at this progress."""
        sample = self.at(mark)
        if sample is None or sample.told_s is None:
            return None
        left_s = self.took_s - sample.at_s
        return abs(sample.told_s - left_s) / left_s


def measure(runs: int) -> list[Run]:
    """Export each length ``runs`` times.

    Raises:
        LocalCloudError: the system or an export failed.
    """
    with running_system() as system:
        api = ApiClient(system.address)
        api.sign_in(system.demo.username, system.demo.password)
        # The first start of the worker and of the browser is what no later one is.
        export_once(system, api, 1)
        return [export_once(system, api, length_s) for _ in range(runs) for length_s in LENGTHS_S]


def export_once(system: System, api: ApiClient, length_s: float) -> Run:
    """Export a video of this length, and read its status until it is completed."""
    began = time.monotonic()
    body = {"inputProps": {"durationInSeconds": length_s}}
    path = f"/api/exports/projects/{system.demo.project_id}/export"
    path = f"/api/exports/{api.call('POST', path, body)['exportId']}/status"
    samples = []
    while True:
        status: dict[str, Any] = api.call("GET", path)
        at_s = time.monotonic() - began
        if status["status"] == "completed":
            break
        if status["status"] not in ("pending", "processing"):
            raise LocalCloudError(f"the export has {status['status']}: {status['errorMessage']}")
        samples.append(
            Sample(
                at_s=at_s,
                progress=status["progress"],
                told_s=status["etaSeconds"],
                updated_at=status["updatedAt"],
            )
        )
        system.check()
        time.sleep(SAMPLE_S)
    print(f"{length_s:g} s of video: {at_s:.1f} s", file=sys.stderr, flush=True)
    return Run(
        length_s=length_s,
        took_s=at_s,
        started_at=status["startedAt"],
        completed_at=status["completedAt"],
        samples=samples,
    )


def as_table(runs: Sequence[Run]) -> str:
    """Return the errors as a Markdown table."""
    lines = ["| progress | renders | median error | p90 |", "|---|--:|--:|--:|"]
    for mark in MARKS:
        errors = sorted(error for run in runs if (error := run.error_at(mark)) is not None)
        if errors:
            p90 = errors[min(len(errors) - 1, int(len(errors) * 0.9))]
            lines.append(f"| {mark:.0%} | {len(errors)} | {statistics.median(errors):.0%} | {p90:.0%} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.eta", description=__doc__)
    parser.add_argument("--runs", type=int, default=4, help="exports of each length (4)")
    runs = parser.parse_args().runs
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    bypass_proxies()
    try:
        measured = measure(runs)
    except LocalCloudError as error:
        print(f"renderhub: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    RESULT.write_text(json.dumps([asdict(run) for run in measured], indent=1) + "\n")
    by_length = defaultdict(list)
    for run in measured:
        by_length[run.length_s].append(run)
    print(as_table(measured))
    for length_s, group in by_length.items():
        print(f"\n{length_s:g} s of video\n\n{as_table(group)}")
    print(f"\n{RESULT.relative_to(ROOT)} has every status.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

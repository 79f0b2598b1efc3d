"""Run the tests on each database and print one summary for each."""

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.databases.servers import SERVERS, ServerError


def main() -> int:
    """Return 0 where the tests pass on every database."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.databases", description=__doc__, epilog="Anything else is pytest's."
    )
    parser.add_argument("--on", action="append", choices=list(SERVERS), help="a database; all without")
    parser.add_argument("--together", action="store_true", help="at the same time, each printed at its end")
    given, arguments = parser.parse_known_args()
    names = given.on or list(SERVERS)
    if given.together:
        with ThreadPoolExecutor(len(names)) as pool:
            runs = list(pool.map(lambda name: _run(name, arguments, at_once=False), names))
    else:
        runs = [_run(name, arguments, at_once=True) for name in names]
    print()
    for name, run in zip(names, runs, strict=True):
        print(f"{name:<12} {run.last}")
    return int(any(run.failed for run in runs))


@dataclass(frozen=True, slots=True)
class Run:
    """How the tests ended.

    Attributes:
        last: pytest's last line, or why it was not run.
        failed: whether a test did, or none was run.
    """

    last: str
    failed: bool


def _run(name: str, arguments: list[str], *, at_once: bool) -> Run:
    """Run the tests on one database, and print what they say at once or at their end."""
    lines = [f"\n===== {name} ====="]
    if at_once:
        print(lines[0], flush=True)
    try:
        with SERVERS[name]() as database:
            # The tests have settings of their own, which take over what these name.
            variables = {f"TEST_{key}": value for key, value in database.environment.items()}
            with subprocess.Popen(
                [sys.executable, "-m", "pytest", *arguments],
                env={**os.environ, **variables},
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
            ) as tests:
                assert tests.stdout is not None
                for line in tests.stdout:
                    lines.append(line.rstrip("\n"))
                    if at_once:
                        print(lines[-1], flush=True)
                failed = tests.wait() != 0
    except ServerError as error:
        lines.append(str(error))
        failed = True
    if not at_once:
        print(*lines, sep="\n", flush=True)
    return Run(next(line.strip(" =") for line in reversed(lines) if line.strip(" =")), failed)


if __name__ == "__main__":
    sys.exit(main())

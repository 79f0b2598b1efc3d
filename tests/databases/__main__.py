"""Run the tests on each database and print one summary for each."""

import argparse
import os
import subprocess
import sys

from tests.databases.servers import SERVERS, ServerError


def main() -> int:
    """Return 0 where the tests pass on every database."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.databases", description=__doc__, epilog="Anything else is pytest's."
    )
    parser.add_argument("--on", action="append", choices=list(SERVERS), help="a database; all without")
    given, arguments = parser.parse_known_args()
    summaries = {}
    failed = False
    for name in given.on or SERVERS:
        print(f"\n===== {name} =====", flush=True)
        try:
            with SERVERS[name]() as database:
                last, code = _run_tests(database.environment, arguments)
        except ServerError as error:
            last, code = str(error), 1
        summaries[name] = last
        failed |= code != 0
    print()
    for name, last in summaries.items():
        print(f"{name:<12} {last}")
    return int(failed)


def _run_tests(environment: dict[str, str], arguments: list[str]) -> tuple[str, int]:
    """Run pytest, and return its last line and its exit code."""
    # The tests have settings of their own, which take over what these name.
    variables = {f"TEST_{name}": value for name, value in environment.items()}
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *arguments],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as tests:
        assert tests.stdout is not None
        last = ""
        for line in tests.stdout:
            print(line, end="", flush=True)
            last = line.strip(" =\n") or last
        return last, tests.wait()


if __name__ == "__main__":
    sys.exit(main())

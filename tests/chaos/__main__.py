"""Run the system while everything breaks: ``python -m tests.chaos [--exports N] [--seed N] …``."""

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from localcloud.paths import BUILD
from tests.chaos.plan import Plan
from tests.chaos.run import Run, Times
from tests.databases.servers import MONGODB_URL, SERVERS, ServerError


def main() -> int:
    """Print the figures, write them, and return 1 where a rule was broken."""
    variables = os.environ
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "--exports",
        type=int,
        default=variables.get("CHAOS_EXPORTS"),
        help="how many; 2,000, or 1,000 on a stand-in for MongoDB",
    )
    parser.add_argument("--seed", type=int, default=int(variables.get("CHAOS_SEED", "2")))
    parser.add_argument(
        "--database",
        choices=list(SERVERS),
        default=variables.get("CHAOS_DATABASE", "sqlite"),
        help="where the records lie, on a server of the run's own",
    )
    parser.add_argument(
        "--rate",
        type=float,
        help="how many are asked for in a second; 18, or 3 on a stand-in for MongoDB",
    )
    parser.add_argument("--limit", type=int, default=64, help="RENDER_MAX_CONCURRENCY")
    parser.add_argument("--user-limit", type=int, default=12, help="RENDER_MAX_CONCURRENCY_PER_USER")
    parser.add_argument(
        "--break",
        dest="broken",
        choices=("claim", "slots", "sweeper"),
        help="leave a rule out, to see it red",
    )
    parser.add_argument(
        "--folder", type=Path, default=BUILD / "chaos", help="for files and logs; the figures lie beside it"
    )
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    # It answers so much slower than a mongod that the run would find nothing else.
    stand_in = given.database == "mongodb" and MONGODB_URL not in variables
    exports = given.exports or (1000 if stand_in else 2000)
    plan = Plan(seed=given.seed, exports=exports, rate=given.rate or (3.0 if stand_in else 18.0))
    rule = f", without the rule {given.broken!r}" if given.broken else ""
    print(f"{exports} exports on {given.database}, seed {given.seed}{rule} …", flush=True)
    try:
        with SERVERS[given.database](durable=True) as database:
            run = Run(
                plan,
                folder=given.folder.resolve(),
                database=database.environment,
                limit=given.limit,
                user_limit=given.user_limit,
                times=Times(),
                broken=given.broken,
            )
            verdict = asyncio.run(run.run())
    except ServerError as error:
        print(error, file=sys.stderr)
        return 1
    figures = {"database": given.database, **verdict.figures}
    given.folder.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")
    for name, value in figures.items():
        print(f"  {name:<24} {value}")
    for fault in verdict.faults:
        print(f"RED: {fault}")
    print("Every rule was kept." if not verdict.faults else f"{len(verdict.faults)} rules were broken.")
    return 1 if verdict.faults else 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from localcloud.paths import ROOT

COMMAND = ["-m", "tests.chaos", "--limit", "20", "--user-limit", "5"]

pytestmark = [pytest.mark.slow, pytest.mark.chaos]


# The two servers side by side: most of a run's time is waiting.
@pytest.mark.parametrize("exports_of", [{"sqlite": 150}, {"postgresql": 60, "mongodb": 60}], ids=" and ".join)
def test_every_rule_is_kept_while_everything_breaks(tmp_path: Path, exports_of: dict[str, int]):
    runs: dict[str, subprocess.Popen[bytes]] = {}
    # At its end it waits for each run.
    with ExitStack() as stack:
        for database, exports in exports_of.items():
            folder = ["--folder", str(tmp_path / database)]
            command = [sys.executable, *COMMAND, "--database", database, "--exports", str(exports), *folder]
            said = stack.enter_context((tmp_path / f"{database}.txt").open("w"))
            runs[database] = stack.enter_context(
                subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
            )

    for database, run in runs.items():
        assert run.returncode == 0, (tmp_path / f"{database}.txt").read_text()[-4000:]
        figures = json.loads((tmp_path / f"{database}.json").read_text())
        assert figures["ended"] == figures["exports"] == exports_of[database]
        # It has really been struck.
        struck = figures["kills"] + figures["duplicate_messages"] + figures["webhooks_lost"]
        assert struck > figures["exports"] / 15

import json
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.paths import ROOT

COMMAND = ["-m", "tests.chaos", "--limit", "20", "--user-limit", "5"]

pytestmark = [pytest.mark.slow, pytest.mark.chaos]


@pytest.mark.parametrize(("database", "exports"), [("sqlite", 150), ("postgresql", 60), ("mongodb", 60)])
def test_every_rule_is_kept_while_everything_breaks(tmp_path: Path, database: str, exports: int):
    folder = tmp_path / "chaos"
    given = ["--database", database, "--exports", str(exports), "--folder", str(folder)]

    done = subprocess.run(
        [sys.executable, *COMMAND, *given],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-4000:]
    figures = json.loads(folder.with_suffix(".json").read_text())
    assert figures["ended"] == figures["exports"] == exports
    # It has really been struck.
    assert figures["kills"] + figures["duplicate_messages"] + figures["webhooks_lost"] > exports / 15

import json
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.paths import ROOT

COMMAND = ["-m", "tests.chaos", "--exports", "150", "--limit", "20", "--user-limit", "5", "--folder"]

pytestmark = [pytest.mark.slow, pytest.mark.chaos]


def test_every_rule_is_kept_while_everything_breaks(tmp_path: Path):
    folder = tmp_path / "chaos"

    done = subprocess.run(
        [sys.executable, *COMMAND, folder],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-4000:]
    figures = json.loads(folder.with_suffix(".json").read_text())
    assert figures["ended"] == figures["exports"] == 150
    # It has really been struck.
    assert figures["kills"] + figures["duplicate_messages"] + figures["webhooks_lost"] > 10

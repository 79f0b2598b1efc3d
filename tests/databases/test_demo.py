"""The demo, as a person runs it, with its records in each of the other databases."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud.paths import ROOT
from tests.databases.commands import run
from tests.databases.servers import SERVERS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["postgresql", "mongodb"])
def test_the_demo_makes_its_video_and_its_records_lie_in_the_database(tmp_path: Path, name: str):
    shell = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    with SERVERS[name]() as database:
        environment = {**shell, **database.environment, "RENDERHUB_STATE": str(tmp_path)}

        demo = subprocess.run(
            [sys.executable, "-m", "localcloud", "demo"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

        assert demo.returncode == 0, demo.stderr
        (export,) = json.loads(run(environment, "-m", "tests.databases.records", "read").splitlines()[-1])
        assert export["status"] == "completed"
        assert not list(tmp_path.glob("*.sqlite3"))

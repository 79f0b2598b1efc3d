"""The services consist of the same single operations on each database.

``tests/exports/test_interleavings.py`` goes through every order of these on SQLite. What it finds holds on
the others, too, where the ORM makes the same of each service there.
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from localcloud.paths import ROOT
from tests.databases.servers import SERVERS

pytestmark = pytest.mark.slow


def operations(name: str) -> dict[str, Any]:
    with SERVERS[name]() as database:
        done = subprocess.run(
            [sys.executable, "-m", "tests.databases.records", "operations"],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "renderhub.settings", **database.environment},
            stdout=subprocess.PIPE,
            check=True,
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", ["postgresql", "mongodb"])
def test_the_services_do_the_same_one_by_one_as_on_sqlite(name: str):
    here, there = operations("sqlite"), operations(name)
    assert len(here) > 15
    assert all(here[service] for service in here)
    assert there == here

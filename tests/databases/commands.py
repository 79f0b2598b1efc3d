"""Programs of ours, run on a database beside the tests' own."""

import os
import subprocess
import sys
from collections.abc import Mapping

from localcloud.paths import ROOT


def run(environment: Mapping[str, str], *command: str) -> str:
    """Run a program of ours, and return what it prints."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "renderhub.settings", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def manage(environment: Mapping[str, str], *arguments: str) -> str:
    """Run a command of ``manage.py``, and return what it prints."""
    return run(environment, "manage.py", *arguments)

"""The web process of the one-machine system, and the database that it starts with."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcloud.errors import LocalCloudError
from localcloud.paths import ROOT
from localcloud.ports import HOST
from localcloud.processes import Process

_COMMANDS_TIMEOUT_S: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """Who signs in to the demo, and what there is to export."""

    username: str
    password: str
    project_id: str


def prepare_database(settings: Mapping[str, str], *, log: Path) -> Demo:
    """Bring the database up to date and return its demo user, who is created if need be.

    Raises:
        LocalCloudError: a command failed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    _manage(["migrate", "--verbosity", "0"], settings, log)
    # Django may log before the command prints its one line.
    data = json.loads(_manage(["create_demo"], settings, log).strip().rpartition("\n")[2])
    return Demo(username=data["username"], password=data["password"], project_id=data["projectId"])


def _manage(arguments: list[str], settings: Mapping[str, str], log: Path) -> str:
    with log.open("ab") as errors:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            timeout=_COMMANDS_TIMEOUT_S,
            check=False,
        )
    if done.returncode != 0:
        raise LocalCloudError(f"manage.py {arguments[0]} failed\n  its log: {log}")
    return done.stdout.decode()


def create_web_process(
    environment: Mapping[str, str], *, port: int, log: Path, on_exit: Callable[[Process], None]
) -> Process:
    """Return the process that serves everything, at ``port`` of this machine alone."""
    server = [sys.executable, "-m", "granian", "--interface", "asgi", "--host", HOST, "--port", str(port)]
    return Process(
        "the web process",
        [*server, "renderhub.asgi:application"],
        environment=_environment(environment),
        log=log,
        ready=r"Started worker",
        on_exit=on_exit,
    )


def _environment(ours: Mapping[str, str]) -> Mapping[str, str]:
    """Return the shell's environment with ``ours``, without the AWS account or settings it is set up for."""
    shell = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**shell, "DJANGO_SETTINGS_MODULE": "renderhub.settings", **ours}

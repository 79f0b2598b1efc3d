"""The command line of localcloud, run as a person runs it, with real processes."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest

from localcloud.paths import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc"),
]

# A person's, and not these tests' own.
SHELL = {
    name: value
    for name, value in os.environ.items()
    if name not in ("DATABASE_URL", "DJANGO_SETTINGS_MODULE")
}


@contextmanager
def running(state: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield a run of the whole system that keeps its things in ``state``, and its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "localcloud", "run"],
        cwd=ROOT,
        env={**SHELL, "RENDERHUB_STATE": str(state)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        try:
            address = next((line.strip() for line in run.stdout if "http://" in line), "")
            assert address, run.communicate()[1]
            yield run, address
        finally:
            run.terminate()


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            found |= {child} | descendants(child)
    return found


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_up(address: str) -> bool:
    # The name in the address may stand for ::1 too, where nobody listens.
    url = f"{address}/api/projects".replace("localhost", "127.0.0.1")
    try:
        with urllib.request.urlopen(url):  # noqa: S310
            return False
    except urllib.error.HTTPError as error:
        with error:
            return error.code == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything(number: signal.Signals, tmp_path: Path):
    with running(tmp_path) as (run, address):
        assert is_up(address)
        children = descendants(run.pid)
        commands = " ".join(map(command_of, children))
        assert "ministack" in commands
        assert "main.mjs" in commands
        assert "granian" in commands

        run.send_signal(number)
        run.communicate()

        assert run.returncode == 0
        assert {pid: command_of(pid) for pid in children if command_of(pid)} == {}


def test_two_checkouts_run_side_by_side_and_each_of_them_once(tmp_path: Path):
    with running(tmp_path / "one") as (_, one), running(tmp_path / "two") as (_, two):
        assert one != two
        assert is_up(one)
        assert is_up(two)
        again = subprocess.run(
            [sys.executable, "-m", "localcloud", "run"],
            cwd=ROOT,
            env={**SHELL, "RENDERHUB_STATE": str(tmp_path / "one")},
            capture_output=True,
            text=True,
            check=False,
        )

    assert again.returncode == 1
    assert re.fullmatch(r"renderhub: this checkout is already running, as process \d+; .*\n", again.stderr)


@pytest.mark.parametrize(
    ("program", "name", "log"),
    [
        ("main.mjs", "the renderer", "renderer.log"),
        ("ministack", "MiniStack", "ministack.log"),
        ("granian", "the web process", "web.log"),
    ],
)
def test_the_death_of_one_part_stops_all_and_is_told(program: str, name: str, log: str, tmp_path: Path):
    with running(tmp_path) as (run, _):
        children = descendants(run.pid)
        os.kill(min(pid for pid in children if program in command_of(pid)), signal.SIGKILL)

        _, errors = run.communicate()

    assert run.returncode == 1
    assert errors.startswith(f"renderhub: {name} has ended unexpectedly (killed by SIGKILL)")
    assert errors.endswith(f"\n  its log: {tmp_path / 'logs' / log}\n")
    assert {pid: command_of(pid) for pid in children if command_of(pid)} == {}


def test_a_browser_that_is_named_and_missing_is_told(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "localcloud", "run"],
        cwd=ROOT,
        env={**SHELL, "RENDERHUB_STATE": str(tmp_path), "REMOTION_BROWSER": "/no/such/browser"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr == "renderhub: REMOTION_BROWSER is /no/such/browser, which is no program\n"

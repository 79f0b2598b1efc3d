"""Database servers of a test run's own: on a free port, in a temporary folder, gone at its end.

Each takes ``durable``: whether what is acknowledged survives a kill of the server, at some cost of speed.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from localcloud import ports
from localcloud.paths import ROOT

MONGODB_URL: Final = "TEST_MONGODB_URL"
"""Names a mongod, or a database of Atlas, to take in place of the stand-in."""

_SECANTUS: Final = ROOT / ".local" / "secantus" / "bin" / "secantusd-py"
_READY_S: Final = 30


class ServerError(Exception):
    """A server can't run; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database that runs.

    Attributes:
        environment: what reaches it.
        kill: ends its server as a power cut does; ``None`` where it has none of this run's.
        start: starts the server again with what it has kept.
    """

    environment: dict[str, str]
    kill: Callable[[], None] | None = None
    start: Callable[[], None] | None = None


class Run(Protocol):
    """Runs a database while a ``with`` block does."""

    def __call__(self, *, durable: bool = False) -> AbstractContextManager[Database]:
        """Return what yields it."""


@contextmanager
def sqlite(*, durable: bool = False) -> Iterator[Database]:
    """Run SQLite, which is a file in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="renderhub-sqlite-") as folder:
        yield Database(environment={"DATABASE_URL": f"sqlite:///{folder}/db.sqlite3"})


@contextmanager
def postgresql(*, durable: bool = False) -> Iterator[Database]:
    """Run a private PostgreSQL cluster.

    Raises:
        ServerError: PostgreSQL's programs are not installed, or it does not start.
    """
    programs = postgresql_programs()
    port = ports.choose_port(0)
    with tempfile.TemporaryDirectory(prefix="renderhub-postgresql-") as folder:
        as_user = _unprivileged(folder)
        data = f"{folder}/data"
        _run(
            [*as_user, f"{programs}/initdb", "-D", data, "-U", "renderhub", "-A", "trust", "-E", "UTF8", "-N"]
        )
        options = f"-p {port} -k {folder} -c listen_addresses={ports.HOST} -c max_connections=200"
        if not durable:
            options += " -c fsync=off"
        control = [*as_user, f"{programs}/pg_ctl", "-D", data, "-l", f"{folder}/log", "-w"]

        def start() -> None:
            _run([*control, "-o", options, "start"])

        def kill() -> None:
            pid = int(Path(data, "postmaster.pid").read_text().split()[0])
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            _kill(pid, *map(int, children))

        start()
        try:
            yield Database(
                environment={"DATABASE_URL": f"postgres://renderhub@{ports.HOST}:{port}/postgres"},
                kill=kill,
                start=start,
            )
        finally:
            _run([*control, "-m", "immediate", "stop"])


@contextmanager
def mongodb(*, durable: bool = False) -> Iterator[Database]:
    """Run a stand-in for MongoDB, or take what ``TEST_MONGODB_URL`` names.

    Raises:
        ServerError: the stand-in is not installed, or does not start.
    """
    given = os.environ.get(MONGODB_URL)
    if given:
        yield Database(environment={"DATABASE_URL": given})
        return
    if not _SECANTUS.exists():
        raise ServerError(f"SecantusDB is not installed: run make install, or set {MONGODB_URL}")
    port = ports.choose_port(0)
    with tempfile.TemporaryDirectory(prefix="renderhub-mongodb-") as folder:
        command = [str(_SECANTUS), "--host", ports.HOST, "--port", str(port)]
        command += ["--storage-path", f"{folder}/data", "--log-level", "WARNING"]
        command += ["--sync-on-commit"] if durable else []
        running: list[subprocess.Popen[bytes]] = []

        def start() -> None:
            with Path(folder, "log").open("ab") as log:
                running.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=folder))
            if not ports.wait_until_listening(port, timeout_s=_READY_S):
                raise ServerError(f"SecantusDB does not start: {Path(folder, 'log').read_text()}")

        def kill() -> None:
            server = running.pop()
            server.kill()
            server.wait()

        try:
            start()
            # It looks for each retryable write among thousands that it keeps.
            options = "directConnection=true&retryWrites=false"
            yield Database(
                environment={
                    "DATABASE_URL": f"mongodb://{ports.HOST}:{port}/renderhub?{options}",
                    "DJANGO_SETTINGS_MODULE": "tests.databases.secantus.settings",
                },
                kill=kill,
                start=start,
            )
        finally:
            for server in running:
                server.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(10)
                server.kill()


SERVERS: Final[Mapping[str, Run]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
    "mongodb": mongodb,
}
"""What runs each database, by its name."""


def postgresql_programs() -> Path:
    """Return the folder of PostgreSQL's own programs, of the newest version that is there.

    Raises:
        ServerError: they are not installed.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    program = found[-1] if found else shutil.which("initdb")
    if program is None:
        raise ServerError("PostgreSQL is not installed: apt install postgresql")
    return Path(program).parent


def _unprivileged(folder: str) -> list[str]:
    """Return what runs a program as somebody who may run PostgreSQL, which root may not."""
    if os.getuid() != 0:
        return []
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        raise ServerError("root can't run PostgreSQL, and there is no user postgres") from None
    shutil.chown(folder, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _run(command: list[str]) -> None:
    # With a file for its output: the server that pg_ctl leaves behind would hold a pipe open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd="/")
        if done.returncode:
            output.seek(0)
            raise ServerError(f"{command[-1]}: {output.read().decode(errors='replace')}")


def _kill(*pids: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    # None of them is a child of this process, to be waited for.
    deadline = time.monotonic() + _READY_S
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            raise ServerError(f"can't kill {pids}")
        time.sleep(0.02)

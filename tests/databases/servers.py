"""Database servers of a test run's own: on a free port, in a temporary folder, gone at its end.

Each takes ``durable``: whether what is acknowledged survives a kill of the server, at some cost of speed.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
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


class Server(Protocol):
    """Runs a database while a ``with`` block does."""

    def __call__(self, *, durable: bool = False) -> AbstractContextManager[dict[str, str]]:
        """Return what yields the environment that reaches it."""


@contextmanager
def sqlite(*, durable: bool = False) -> Iterator[dict[str, str]]:
    """Yield the environment for SQLite: a file in a folder of its own, and no server that could be killed."""
    with tempfile.TemporaryDirectory(prefix="renderhub-sqlite-") as folder:
        yield {"DATABASE_URL": f"sqlite:///{folder}/db.sqlite3"}


@contextmanager
def postgresql(*, durable: bool = False) -> Iterator[dict[str, str]]:
    """Run a private PostgreSQL cluster; yield the environment that reaches it.

    Raises:
        ServerError: PostgreSQL's programs are not installed, or it does not start.
    """
    programs = _postgresql_programs()
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
        _run([*control, "-o", options, "start"])
        try:
            yield {"DATABASE_URL": f"postgres://renderhub@{ports.HOST}:{port}/postgres"}
        finally:
            _run([*control, "-m", "immediate", "stop"])


@contextmanager
def mongodb(*, durable: bool = False) -> Iterator[dict[str, str]]:
    """Yield the environment that reaches MongoDB: ``TEST_MONGODB_URL``, or a stand-in that this runs.

    Raises:
        ServerError: the stand-in is not installed, or does not start.
    """
    given = os.environ.get(MONGODB_URL)
    if given:
        yield {"DATABASE_URL": given}
        return
    if not _SECANTUS.exists():
        raise ServerError(f"SecantusDB is not installed: run make install, or set {MONGODB_URL}")
    port = ports.choose_port(0)
    with tempfile.TemporaryDirectory(prefix="renderhub-mongodb-") as folder:
        command = [
            str(_SECANTUS),
            "--host",
            ports.HOST,
            "--port",
            str(port),
            "--storage-path",
            f"{folder}/data",
        ]
        command += ["--log-level", "WARNING", *(["--sync-on-commit"] if durable else [])]
        with (
            Path(folder, "log").open("wb") as log,
            subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as server,
        ):
            try:
                if not ports.wait_until_listening(port, timeout_s=_READY_S):
                    raise ServerError(f"SecantusDB does not start: {Path(folder, 'log').read_text()}")
                # It looks for each retryable write among thousands that it keeps.
                options = "directConnection=true&retryWrites=false"
                yield {
                    "DATABASE_URL": f"mongodb://{ports.HOST}:{port}/renderhub?{options}",
                    "DJANGO_SETTINGS_MODULE": "tests.databases.secantus.settings",
                }
            finally:
                server.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(10)
                server.kill()


SERVERS: Final[Mapping[str, Server]] = {
    "sqlite": sqlite,
    "postgresql": postgresql,
    "mongodb": mongodb,
}
"""What runs each database, by its name."""


def _postgresql_programs() -> Path:
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

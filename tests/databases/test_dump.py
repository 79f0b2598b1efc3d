"""Backups and moves: what docs/databases.md tells to do is done here, with a database of everything."""

import gzip
import json
import os
import sqlite3
import subprocess
from contextlib import ExitStack, closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pymongo
import pytest

from tests.databases.commands import manage, run
from tests.databases.servers import MONGODB_URL, SERVERS, postgresql_programs

pytestmark = pytest.mark.slow

DUMP = ["dumpdata", "--natural-primary", "--natural-foreign", "--format=jsonl"]
DUMP += [f"--exclude={name}" for name in ("contenttypes", "auth.permission", "admin", "sessions")]


def read(file):
    """Return all records of a dump, in an order of their own."""
    with gzip.open(file, "rt") as lines:
        records = [json.loads(line) for line in lines]
    for record in records:
        fields = record["fields"]
        # One of no order, that is.
        for name in ("groups", "user_permissions", "permissions"):
            if name in fields:
                fields[name].sort()
    return sorted(records, key=lambda record: (record["model"], record.get("pk") or str(record["fields"])))


@pytest.fixture
def databases():
    """The environments of an empty, migrated database of each kind, and of one more of SQLite."""
    with ExitStack() as stack:
        found = {}
        for name, kind in {**dict(zip(SERVERS, SERVERS, strict=True)), "last": "sqlite"}.items():
            environment = stack.enter_context(SERVERS[kind]()).environment
            if kind == "mongodb" and MONGODB_URL in os.environ:
                environment = stack.enter_context(_own(environment))
            manage(environment, "migrate", "--verbosity=0")
            found[name] = environment
        run(found["sqlite"], "-m", "tests.databases.fill")
        yield found


@contextmanager
def _own(environment):
    """Give this test a database of its own on a server that others use."""
    name = f"renderhub_dump_{os.getpid()}"
    client: pymongo.MongoClient[Any] = pymongo.MongoClient(environment["DATABASE_URL"])
    with client:
        try:
            url = urlsplit(environment["DATABASE_URL"])._replace(path=f"/{name}").geturl()
            yield {**environment, "DATABASE_URL": url}
        finally:
            client.drop_database(name)


def test_all_records_move_from_each_database_to_the_next(databases, tmp_path):
    names = list(databases)
    dumps = [tmp_path / f"{name}.jsonl.gz" for name in names]
    for name, dump, before in zip(names, dumps, [None, *dumps], strict=False):
        if before is not None:
            manage(databases[name], "loaddata", str(before))
        manage(databases[name], *DUMP, f"--output={dump}")
    first, *others = (read(dump) for dump in dumps)
    assert {record["model"] for record in first} == {
        "auth.group",
        "auth.user",
        "exports.batch",
        "exports.exportrequest",
        "exports.metadatapair",
        "exports.pause",
        "exports.project",
        "exports.render",
        "notifications.delivery",
        "renderhub.revokedtoken",
    }
    for other in others:
        assert other == first


def everything(environment, folder, name):
    """Return all records as they are, keys and sessions included."""
    file = folder / f"{name}.jsonl.gz"
    manage(environment, "dumpdata", "--format=jsonl", f"--output={file}")
    return read(file)


def test_postgresql_comes_back_from_its_own_dump(tmp_path):
    programs = postgresql_programs()
    with SERVERS["postgresql"]() as database:
        url = database.environment["DATABASE_URL"]
        restored = f"{url.rpartition('/')[0]}/restored"
        manage(database.environment, "migrate", "--verbosity=0")
        run(database.environment, "-m", "tests.databases.fill")
        for command in (
            ["pg_dump", "--format=custom", f"--file={tmp_path}/backup", url],
            ["psql", "--quiet", "--command=CREATE DATABASE restored", url],
            ["pg_restore", "--exit-on-error", f"--dbname={restored}", f"{tmp_path}/backup"],
        ):
            subprocess.run([f"{programs}/{command[0]}", *command[1:]], check=True, timeout=60)
        environment = {**database.environment, "DATABASE_URL": restored}
        assert manage(environment, "migrate", "--check") == ""
        assert everything(environment, tmp_path, "after") == everything(
            database.environment, tmp_path, "before"
        )


def test_sqlite_comes_back_from_a_copy_that_is_made_while_it_runs(tmp_path):
    with SERVERS["sqlite"]() as database:
        manage(database.environment, "migrate", "--verbosity=0")
        run(database.environment, "-m", "tests.databases.fill")
        file = database.environment["DATABASE_URL"].removeprefix("sqlite:///")
        with closing(sqlite3.connect(file)) as source:
            source.execute(f"VACUUM INTO '{tmp_path}/backup.sqlite3'")
        environment = {"DATABASE_URL": f"sqlite:///{tmp_path}/backup.sqlite3"}
        assert everything(environment, tmp_path, "after") == everything(
            database.environment, tmp_path, "before"
        )

"""An upgrade from the release before, whose database that release itself has made."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from renderhub.models import RevokedToken
from tests.databases.commands import manage
from tests.databases.servers import postgresql

RELEASE = Path(__file__).parent

_COLUMNS = {
    "sqlite": "SELECT name, type, \"notnull\" FROM pragma_table_info('{table}')",
    "postgresql": "SELECT column_name, data_type, is_nullable FROM information_schema.columns"
    " WHERE table_name = '{table}'",
}
_INDEXES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = '{table}'",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = '{table}'",
}


@dataclass(frozen=True)
class Records:
    """A database beside the tests' own."""

    vendor: str
    url: str
    connect: Callable[[], Any]

    def migrate(self) -> str:
        """Run ``manage.py migrate``, and return what it prints."""
        return manage({"DATABASE_URL": self.url}, "migrate", "--no-color")

    def read(self, sql: str) -> list[Any]:
        with closing(self.connect()) as database:
            return list(database.execute(sql).fetchall())

    def rows(self, table: str) -> list[Any]:
        return self.read(f"SELECT * FROM {table}")  # noqa: S608  # our own tables

    def schema(self) -> dict[str, Any]:
        """Return each table of ours with its columns and indexes."""
        tables = {
            "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
            "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
        }
        return {
            table: tuple(
                sorted(self.read(asked[self.vendor].format(table=table))) for asked in (_COLUMNS, _INDEXES)
            )
            for (table,) in self.read(tables[self.vendor])
            if not table.startswith(("token_blacklist_", "sqlite_"))
        }


@pytest.fixture(params=["sqlite", "postgresql"])
def old_and_new(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Records, Records]]:
    """A database of the release before, as that has made it, and an empty one."""
    script = (RELEASE / f"release_71307d5.{request.param}.sql").read_text()
    if request.param == "sqlite":
        files = [tmp_path / name for name in ("old.sqlite3", "new.sqlite3")]
        old, new = (Records("sqlite", f"sqlite:///{file}", partial(sqlite3.connect, file)) for file in files)
        with closing(old.connect()) as database:
            database.executescript(script)
        yield old, new
        return
    with postgresql() as server:
        url = server.environment["DATABASE_URL"]
        with psycopg.connect(url, autocommit=True) as database:
            for name in ("old", "new"):
                database.execute(f"CREATE DATABASE {name}")
        urls = [f"{url.rpartition('/')[0]}/{name}" for name in ("old", "new")]
        old, new = (Records("postgresql", each, partial(psycopg.connect, each)) for each in urls)
        with psycopg.connect(old.url) as database:
            database.execute(script)
        yield old, new


@pytest.mark.slow
def test_the_release_befores_database_is_brought_up_to_date_with_all_that_it_holds(
    old_and_new: tuple[Records, Records],
) -> None:
    old, new = old_and_new
    kept = (
        "SELECT id, user_id, title, input_props, status, attempt, version, progress, slot, user_slot,"
        " timeline, render_id, output_key, output_size_bytes, error_code, errors, created_at, queued_at,"
        " completed_at FROM export_requests ORDER BY id"
    )
    before = old.read(kept)
    tables = ("auth_user", "auth_group", "auth_user_groups", "pauses")
    untouched = {table: old.rows(table) for table in tables}
    permissions = old.rows("auth_group_permissions")
    assert "Applying exports." in old.migrate()
    assert len(before) == 7
    assert old.read(kept) == before
    assert {table: old.rows(table) for table in tables} == untouched
    assert set(permissions) <= set(old.rows("auth_group_permissions"))
    assert old.read("SELECT jti FROM revoked_tokens") == [("used-0123456789",)]
    [(cost,)] = old.read("SELECT render_cost_usd FROM export_requests WHERE status = 'completed'")
    assert float(cost) == 0.011234
    assert old.read("SELECT status, sent_at IS NULL FROM deliveries") == [("sent", False)]
    assert "No migrations to apply" in old.migrate()
    new.migrate()
    assert old.schema() == new.schema()


@pytest.mark.skipif(connection.vendor == "mongodb", reason="no release before this one ran on MongoDB")
@pytest.mark.django_db(transaction=True)
def test_tokens_that_the_release_before_had_revoked_stay_so():
    now = timezone.now()
    tables = (
        "CREATE TABLE token_blacklist_outstandingtoken"
        " (id integer PRIMARY KEY, jti varchar(255), expires_at timestamp with time zone)",
        "CREATE TABLE token_blacklist_blacklistedtoken (id integer PRIMARY KEY, token_id integer)",
    )
    try:
        MigrationExecutor(connection).migrate([("renderhub", None)])
        with connection.cursor() as cursor:
            for table in tables:
                cursor.execute(table)
            for number, (jti, days) in enumerate({"good": 7, "used": 7, "expired": -7}.items()):
                cursor.execute(
                    "INSERT INTO token_blacklist_outstandingtoken VALUES (%s, %s, %s)",
                    [number, jti, now + timedelta(days=days)],
                )
            cursor.execute("INSERT INTO token_blacklist_blacklistedtoken VALUES (1, 1), (2, 2)")
        MigrationExecutor(connection).migrate([("renderhub", "0001_revoked_tokens")])
        [token] = RevokedToken.objects.all()
        assert (token.jti, token.expires_at) == ("used", now + timedelta(days=7))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS token_blacklist_blacklistedtoken")
            cursor.execute("DROP TABLE IF EXISTS token_blacklist_outstandingtoken")
        MigrationExecutor(connection).migrate(MigrationExecutor(connection).loader.graph.leaf_nodes())

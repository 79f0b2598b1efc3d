"""An upgrade from the release before, whose database that release itself has made."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from localcloud.paths import ROOT
from renderhub.models import RevokedToken

OLD = Path(__file__).parent.parent / "golden" / "release_71307d5.sql"


def migrate(file):
    """Run ``manage.py migrate`` on a file; what it prints is returned."""
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{file}",
        "DJANGO_SETTINGS_MODULE": "renderhub.settings",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--no-color"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(file, sql):
    with closing(sqlite3.connect(file)) as database:
        return database.execute(sql).fetchall()


def rows(file, table):
    return read(file, f"SELECT * FROM {table}")  # noqa: S608  # our own tables


@pytest.fixture
def old(tmp_path):
    file = tmp_path / "old.sqlite3"
    with closing(sqlite3.connect(file)) as database:
        database.executescript(OLD.read_text())
    return file


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the file is SQLite's")
def test_the_release_befores_database_is_brought_up_to_date_with_all_that_it_holds(old, tmp_path):
    kept = (
        "SELECT id, user_id, title, input_props, status, attempt, version, progress, slot, user_slot,"
        " timeline, render_id, output_key, output_size_bytes, error_code, errors, created_at, queued_at,"
        " completed_at FROM export_requests ORDER BY id"
    )
    before = read(old, kept)
    tables = ("auth_user", "auth_group", "auth_user_groups", "pauses")
    untouched = {table: rows(old, table) for table in tables}
    permissions = rows(old, "auth_group_permissions")
    assert "Applying exports." in migrate(old)
    assert len(before) == 7
    assert read(old, kept) == before
    assert {table: rows(old, table) for table in tables} == untouched
    assert set(permissions) <= set(rows(old, "auth_group_permissions"))
    assert read(old, "SELECT jti FROM revoked_tokens") == [("used-0123456789",)]
    assert read(old, "SELECT render_cost_usd FROM export_requests WHERE status = 'completed'") == [
        (0.011234,)
    ]
    assert read(old, "SELECT status, sent_at IS NULL FROM deliveries") == [("sent", 0)]
    assert "No migrations to apply" in migrate(old)
    migrate(tmp_path / "new.sqlite3")
    assert schema(old) == schema(tmp_path / "new.sqlite3")


def schema(file):
    """Return each table of ours with its columns and indexes."""
    names = [name for (name,) in read(file, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {
        name: (
            sorted(row[1:4] for row in read(file, f"PRAGMA table_info({name})")),
            sorted(row[1] for row in read(file, f"PRAGMA index_list({name})")),
        )
        for name in names
        if not name.startswith(("token_blacklist_", "sqlite_"))
    }


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

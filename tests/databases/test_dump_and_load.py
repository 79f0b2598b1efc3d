"""All records can be taken out of one database and put into another, of its own kind or not."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.utils import timezone

from exports.models import Batch, ExportRequest, MetadataPair, Project, Render, timeline_entry
from exports.states import Status
from localcloud.paths import ROOT
from notifications.models import Delivery
from renderhub.models import RevokedToken

pytestmark = [pytest.mark.database, pytest.mark.slow]

# What is written anew by migrate, what nobody misses, and what belongs to one browser.
LEFT_OUT = ["contenttypes", "auth.permission", "sessions", "admin.logentry"]
NATURAL = {"natural_foreign": True, "natural_primary": True}
NOW = timezone.now().replace(microsecond=123_000)
PROPS = {"a.b": 1, "$set": {"x": [None, True, 1.5, "ä\n\"'"]}, "": {}, "big": 2**62, "nested": [[{"k": []}]]}


@pytest.fixture
def records(user):
    other = User.objects.create_user(
        "grace", password="pass-word-2", email="grace@example.com", is_staff=True
    )
    other.groups.add(Group.objects.get_or_create(name="readers")[0])
    project = Project.objects.create(
        user=user, title="Ünïted", composition_id="M", input_props=PROPS, props_schema={"type": "object"}
    )
    batch = Batch.objects.create(
        user=user, project=project, total=2, accepted=1, refusals=[{"row": 2}], plan="p", created_at=NOW
    )
    for number, status in enumerate(Status, 1):
        running = status == Status.PROCESSING
        export = ExportRequest.objects.create(
            project=project if number % 2 else None,
            user=user if number % 2 else other,
            batch=batch if number == 1 else None,
            row=1 if number == 1 else None,
            title="t",
            composition_id="M",
            serve_url="https://x/index.html",
            codec="h264",
            input_props=PROPS,
            metadata={"order": str(number)},
            status=status,
            slot=1 if running else None,
            user_slot="slot:1" if running else None,
            progress=0.25,
            render_cost_usd=Decimal("0.001234"),
            output_size_bytes=2**40,
            timeline=[timeline_entry(event="created", status=status, attempt=1, now=NOW)],
            errors=[{"message": "m", "stack": "s"}],
            created_at=NOW,
            queued_at=NOW,
            updated_at=NOW + timedelta(milliseconds=1),
        )
        MetadataPair.objects.create(user=export.user, key="order", value=str(number), export_id=export.pk)
        Render.objects.create(
            export=export, attempt=1, render_id=f"r{number}", cost_usd=Decimal("0.0001"), created_at=NOW
        )
        Delivery.objects.create(
            user=export.user, kind="k", key=str(export.pk), channel="email", context=PROPS, created_at=NOW
        )
    RevokedToken.objects.create(jti="j", expires_at=NOW)


def dump() -> str:
    out = StringIO()
    call_command("dumpdata", exclude=LEFT_OUT, stdout=out, **NATURAL)
    return out.getvalue()


def by_key(text: str) -> list[str]:
    """Return the records of a dump in an order of their own, with amounts of money in one way of writing."""
    found = json.loads(text)
    for record in found:
        for name, value in record["fields"].items():
            if name.endswith("_usd"):
                record["fields"][name] = str(Decimal(value).normalize())
    return sorted(json.dumps(each, sort_keys=True) for each in found)


def manage(url: str, *arguments: str) -> str:
    """Run a command with another database, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "renderhub.settings", "DEBUG": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.django_db(transaction=True)
def test_records_come_back_from_a_dump_as_they_were(records, tmp_path: Path):
    before = dump()
    path = tmp_path / "all.json"
    path.write_text(before)
    call_command("flush", interactive=False, verbosity=0)
    assert not ExportRequest.objects.exists()
    call_command("loaddata", path, verbosity=0)
    assert by_key(dump()) == by_key(before)
    assert ExportRequest.objects.get(status=Status.PROCESSING).input_props == PROPS
    assert User.objects.get(username="grace").groups.get().name == "readers"


@pytest.mark.django_db(transaction=True)
def test_records_go_to_another_database_and_come_back(records, tmp_path: Path):
    before = dump()
    there, back = tmp_path / "there.json", tmp_path / "back.json"
    there.write_text(before)
    sqlite = f"sqlite:///{tmp_path / 'other.sqlite3'}"
    manage(sqlite, "migrate", "--verbosity", "0")
    manage(sqlite, "loaddata", str(there))
    excluded = [argument for name in LEFT_OUT for argument in ("--exclude", name)]
    back.write_text(manage(sqlite, "dumpdata", "--natural-foreign", "--natural-primary", *excluded))
    assert by_key(back.read_text()) == by_key(before)
    call_command("flush", interactive=False, verbosity=0)
    call_command("loaddata", back, verbosity=0)
    assert by_key(dump()) == by_key(before)

"""The records of a database beside the tests' own: ``python -m tests.databases.records migrate|read|…``.

Each command prints one line of JSON. ``DATABASE_URL`` and ``DJANGO_SETTINGS_MODULE`` say where they lie.
"""

import json
import re
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import django

USERS: Final = 5


def migrate() -> Any:
    """Make the tables, and users with a project each; return their tokens and projects."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from rest_framework_simplejwt.tokens import AccessToken

    from exports.models import Project

    call_command("migrate", verbosity=0)
    accounts = []
    for number in range(USERS):
        user = get_user_model().objects.create(username=f"user-{number}", email=f"{number}@example.com")
        project = Project.objects.create(user=user, title="T", composition_id="none")
        accounts.append([str(AccessToken.for_user(user)), str(project.pk)])
    return accounts


def read() -> Any:
    """Return all exports."""
    from exports.models import ExportRequest

    fields = ("pk", "composition_id", "user_id", "status", "attempt", "version", "timeline", "title", "codec")
    places = ("slot", "user_slot", "rank", "due_at", "queued_at", "serve_url", "input_props", "project_id")
    return list(ExportRequest.objects.order_by("pk").values(*fields, *places))


def turn() -> Any:
    """Let the sweeper turn once, and complete what has a slot; return the ids that had one, before and after.

    Before, it is those that have one after the sweep.
    """
    from django.utils import timezone

    from exports import services
    from exports.models import ExportRequest
    from lambda_worker.contract import RenderStarted, RenderSuccess
    from tests.conftest import FakeQueue

    queue = FakeQueue()
    # Later, so that what was sent to nobody is due again.
    now = timezone.now() + timedelta(minutes=5)
    services.handle_due(queue=queue, now=now)
    services.mend_line(queue=queue, now=now)
    swept = read()
    holders = list(ExportRequest.objects.holders())
    for export in holders:
        base: dict[str, Any] = {"export_id": str(export.pk), "attempt": export.attempt}
        services.claim_render(report=RenderStarted(**base, token="t", version=export.version), now=now)
        report = RenderSuccess(**base, render_id=str(export.pk), bucket_name="b", output_size_bytes=1)
        services.complete_export(report=report, queue=queue, now=now)
    sent = [message.export_id for message in queue.messages]
    return {"swept": swept, "sent": sent, "after": read()}


def operations() -> Any:
    """Return the operations on the database, each with its collection, of which the services consist.

    What begins and ends transactions is left out: each holds one operation.
    """
    from django.conf import settings
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from exports import services
    from exports.models import ExportRequest, Project
    from lambda_worker.contract import (
        RenderError,
        RenderFailure,
        RenderProgress,
        RenderStarted,
        RenderSuccess,
        RenderThrottled,
    )
    from notifications.services import send_due
    from tests.conftest import FakeQueue

    migrate()
    settings.RENDER_MAX_CONCURRENCY = 2
    now = timezone.now()
    more: dict[str, Any] = {"queue": FakeQueue(), "now": now}
    project = Project.objects.order_by("pk")[0]
    found: dict[str, list[tuple[str, str]]] = {}

    def note(name: str, service: Callable[..., Any], **given: Any) -> Any:
        with CaptureQueriesContext(connection) as captured:
            result = service(**given)
        steps = (_operation(query["sql"]) for query in captured.captured_queries)
        found[name] = [step for step in steps if step is not None]
        return result

    def create(name: str) -> ExportRequest:
        order = {"composition_id": name, "serve_url": "https://x.example", "codec": "h264", "input_props": {}}
        export: ExportRequest = note(name, services.create_export, project=project, **order, **more)
        return export

    first, second, third = create("at once"), create("at once too"), create("in line")
    base: dict[str, Any] = {"export_id": str(first.pk), "attempt": 1}
    render: dict[str, Any] = {**base, "render_id": "r", "bucket_name": "b"}
    claim = RenderStarted(**base, token="t", version=1)
    note("claim", services.claim_render, report=claim, now=now)
    note("put off", services.put_off_start, report=RenderThrottled(**base, token="t"), now=now)
    again = RenderStarted(**base, token="t", version=3)
    note("claim again", services.claim_render, report=again, now=now)
    note("accept", services.accept_render, report=RenderProgress(**render, token="t"), now=now)
    note("progress", services.record_progress, report=RenderProgress(**render, progress=0.5), now=now)
    note("complete", services.complete_export, report=RenderSuccess(**render, output_size_bytes=1), **more)
    note("send", send_due, now=now)
    note("cancel", services.cancel_export, export_id=second.pk, by=project.user, **more)
    note("retry", services.retry_export, export_id=second.pk, by=project.user, **more)
    base = {"export_id": str(third.pk), "attempt": 1}
    note(
        "claim the third", services.claim_render, report=RenderStarted(**base, token="t", version=2), now=now
    )
    failed = RenderError(**base, render_id="r3", bucket_name="b", errors=(RenderFailure(message="Bad"),))
    note("fail", services.fail_render, report=failed, **more)
    note("pause", services.pause_renders, by="ops", reason="", now=now)
    note("resume", services.resume_renders, by="ops", **more)
    note("due", services.handle_due, queue=more["queue"], now=now + timedelta(hours=1))
    note("mend", services.mend_line, **more)
    note("left over", services.notify_left_over, now=now)
    return found


def _operation(query: str) -> tuple[str, str] | None:
    mongodb = re.match(r"db\.(\w+)\.(\w+)\(", query)
    if mongodb:
        return _VERBS[mongodb[2]], mongodb[1]
    verb = query.split()[0].rstrip(";")
    if verb not in _VERBS:
        return None
    table = re.search(r'(?:FROM|INTO|UPDATE) "(\w+)"', query)
    assert table is not None, query
    return _VERBS[verb], table[1]


_VERBS: Final[dict[str, str]] = {
    "SELECT": "read",
    "INSERT": "insert",
    "UPDATE": "update",
    "DELETE": "delete",
    "aggregate": "read",
    "insert_many": "insert",
    "update_many": "update",
    "delete_many": "delete",
}

COMMANDS: Final[dict[str, Callable[[], Any]]] = {
    "migrate": migrate,
    "read": read,
    "turn": turn,
    "operations": operations,
}


if __name__ == "__main__":
    django.setup()
    print(json.dumps(COMMANDS[sys.argv[1]](), default=str))

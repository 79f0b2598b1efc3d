"""The records of a database beside the tests' own: ``python -m tests.databases.records migrate|read|turn``.

Each prints one line of JSON. ``DATABASE_URL`` and ``DJANGO_SETTINGS_MODULE`` say where they lie.
"""

import json
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


COMMANDS: Final[dict[str, Callable[[], Any]]] = {"migrate": migrate, "read": read, "turn": turn}


if __name__ == "__main__":
    django.setup()
    print(json.dumps(COMMANDS[sys.argv[1]](), default=str))

"""Measure how long a batch of 1,000 rows takes, as JSON and as CSV, until it is answered.

    python -m benchmarks.batch            # on DATABASE_URL, an SQLite file of its own without it

It makes the tables in that database anew. The queue takes every message at once, as SQS in the same region
nearly does: five of them are sent before the answer.
"""

import csv
import io
import json
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

ROWS = 1000
ROUNDS = 7
SCHEMA = Path(__file__).parent.parent / "compositions" / "schemas" / "MainComposition.json"


class Queue:
    """Takes every message."""

    def send(self, messages: Sequence[object]) -> list[str | None]:
        """Take them."""
        return [str(uuid.uuid4()) for _ in messages]


def main() -> None:
    """Print the median, the least and the most of each kind of body, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{folder}/batch.sqlite3")
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "renderhub.settings")
        os.environ.setdefault("ALLOWED_HOSTS", "testserver")
        os.environ.setdefault("LIMIT_BATCHES", "1000/m")
        import django

        django.setup()
        _measure()


def _measure() -> None:
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from rest_framework.test import APIClient

    from exports import queue
    from exports.models import Batch, ExportRequest, Project

    call_command("migrate", verbosity=0)
    queue.get_queue = Queue  # type: ignore[assignment]  # the same for this purpose
    user = User.objects.create_user(f"batch-{uuid.uuid4().hex[:8]}")
    client = APIClient()
    client.force_authenticate(user)
    schema = json.loads(SCHEMA.read_text())
    path = None
    for kind, body in {"application/json": _json(), "text/csv": _csv()}.items():
        times = []
        for _ in range(ROUNDS):
            ExportRequest.objects.filter(user=user).delete()
            Batch.objects.filter(user=user).delete()
            project = Project.objects.create(
                user=user, title="T", composition_id="MainComposition", props_schema=schema
            )
            path = f"/api/exports/projects/{project.pk}/batch"
            began = time.perf_counter()
            answer = client.generic("POST", path, body, kind, headers={"Idempotency-Key": uuid.uuid4().hex})
            times.append(time.perf_counter() - began)
            if answer.status_code != HTTPStatus.ACCEPTED:
                raise SystemExit(f"{answer.status_code}: {answer.content.decode()}")
            sent = ExportRequest.objects.filter(user=user, queue_message_id__isnull=False).count()
            if (ExportRequest.objects.filter(user=user).count(), sent) != (ROWS, 5):
                raise SystemExit(f"{sent} are on the queue, not 5")
        print(f"{kind:18} {statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f})")


def _props(row: int) -> dict[str, object]:
    values = [{"label": f"L{n}", "value": n * row} for n in range(7)]
    return {"title": f"Row {row}", "subtitle": "One of many", "accentColor": "#8b7bff", "values": values}


def _json() -> str:
    return json.dumps({"items": [{"inputProps": _props(row)} for row in range(ROWS)]})


def _csv() -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(_props(0))
    for row in range(ROWS):
        writer.writerow(
            value if isinstance(value, str) else json.dumps(value) for value in _props(row).values()
        )
    return file.getvalue()


if __name__ == "__main__":
    main()

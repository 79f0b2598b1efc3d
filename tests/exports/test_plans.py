"""A line of any length costs the same number of queries, and what is read often is read in indexes alone.

That each look is answered by an index is proved on each database, in ``tests/databases/test_plans.py``.
"""

import base64
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from exports import services
from exports.models import ExportRequest
from exports.representations import queue_position
from exports.services.line import look
from exports.states import Status
from lambda_worker.contract import RenderStarted, RenderSuccess
from renderhub.ids import uuid7
from tests.conftest import NOW

ONLY_SQLITE = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="SQLite alone says it of tables with few rows"
)


def plans_of(act):
    """Return the steps of each query for exports."""
    with CaptureQueriesContext(connection) as captured:
        act()
    plans = []
    for query in captured.captured_queries:
        if query["sql"].startswith("SELECT") and "export_requests" in query["sql"]:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
                plans.append([row[-1] for row in cursor.fetchall()])
    return plans


HISTORY = {
    "": "exports_user",
    "status=failed": "exports_status",
    "status=failed&createdAfter=2026-01-02&createdBefore=2026-03-04": "exports_status",
    "codec=h264": "exports_codec",
    "projectId={project}": "exports_project",
    "createdBefore=2026-01-02": "exports_user",
}


@ONLY_SQLITE
@pytest.mark.parametrize("query", HISTORY)
def test_a_history_is_read_in_the_order_of_its_filters_index(api, export, project, query):
    """Its keys in that index alone, its rows by their keys."""
    url = f"/api/exports/history?{query.format(project=project.pk)}"
    next_url = _next(url, export)
    for address in (url, next_url):
        keys, *rows = plans_of(partial(api.get, address))
        assert len(rows) <= 1
        assert keys[0].startswith(f"SEARCH export_requests USING COVERING INDEX {HISTORY[query]} "), keys
        assert "id<?" in keys[0] or address == url
        assert len(keys) == 1
        assert all("sqlite_autoindex_export_requests_1" in row[0] for row in rows)


def _next(url, export):
    cursor = base64.urlsafe_b64encode(b"o" + export.pk.bytes).decode().rstrip("=")
    return f"{url}&cursor={cursor}"


@ONLY_SQLITE
def test_the_place_in_the_line_is_counted_in_the_indexes_alone(export):
    ExportRequest.objects.update(slot=None, user_slot=None)
    export.refresh_from_db()
    plans = plans_of(lambda: queue_position(export))
    assert len(plans) == 2
    for plan in plans:
        steps = [step for step in plan if "export_requests" in step]
        assert steps
        assert all("COVERING INDEX exports_l" in step for step in steps)


@pytest.fixture
def crowd(project, settings, sent, outputs):
    """Makes as many exports wait as it is told, behind one that renders."""
    settings.RENDER_MAX_CONCURRENCY = 1

    def make(count):
        running = create(project, sent)
        ExportRequest.objects.bulk_create(
            ExportRequest(
                id=uuid7(),
                project=project,
                user_id=project.user_id,
                codec="h264",
                status=Status.PENDING,
                created_at=NOW,
                queued_at=NOW + timedelta(seconds=n),
                updated_at=NOW,
            )
            for n in range(count)
        )
        look(project.user_id, now=NOW)
        return running

    return make


def create(project, queue):
    return services.create_export(
        project=project,
        composition_id="M",
        serve_url="https://x/sites/main/index.html",
        codec="h264",
        input_props={},
        queue=queue,
        now=NOW,
    )


@pytest.mark.parametrize("waiting", [2, 300])
def test_creating_and_freeing_are_as_many_queries_at_any_length(crowd, project, sent, waiting):
    running = crowd(waiting)
    with CaptureQueriesContext(connection) as created:
        create(project, sent)
    services.claim_render(
        report=RenderStarted(export_id=str(running.pk), attempt=1, token="t", version=1), now=NOW
    )
    report = RenderSuccess(
        export_id=str(running.pk), attempt=1, render_id="r", bucket_name="b", output_size_bytes=1
    )

    def free() -> None:
        assert services.complete_export(report=report, queue=sent, now=NOW)

    with CaptureQueriesContext(connection) as freed:
        assert services.complete_export(report=report, queue=sent, now=NOW)

    assert (len(created), len(freed)) == (11, 16)

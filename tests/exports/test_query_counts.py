"""A line of any length costs the same number of queries, and none of them reads more than an index."""

from datetime import timedelta

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


@pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite alone says it of a table with few rows")
def test_the_place_in_the_line_is_counted_in_the_indexes_alone(export):
    ExportRequest.objects.update(slot=None, user_slot=None)
    export.refresh_from_db()
    with CaptureQueriesContext(connection) as captured:
        queue_position(export)
    assert len(captured) == 2
    for query in captured.captured_queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            steps = [row[-1] for row in cursor.fetchall() if "export_requests" in row[-1]]
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

    assert (len(created), len(freed)) == (9, 18)

"""What is asked often is answered by an index, as SQLite itself tells; nobody analyses its tables for it."""

import base64
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from exports import services
from exports.costs import estimate
from exports.models import Batch, ExportRequest
from exports.representations import batch_of, queue_position
from exports.services.line import free_place, look, look_at_all
from exports.states import Status
from lambda_worker.contract import RenderStarted, RenderSuccess
from renderhub.ids import uuid7
from tests.conftest import NOW

pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's plans")


def plans_of(act: Callable[[], Any]) -> dict[str, list[str]]:
    """Return the plan of each query of ours, but of inserts."""
    with CaptureQueriesContext(connection) as captured:
        act()
    plans = {}
    for sql in (query["sql"] for query in captured.captured_queries):
        if sql.startswith(("SELECT", "UPDATE")) and "export_requests" in sql:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
                plans[sql] = [row[-1] for row in cursor.fetchall()]
    return plans


def indexes_of(act: Callable[[], Any]) -> list[str]:
    """Return the index that each query goes through, having made sure that none reads the whole table."""
    used = []
    for sql, plan in plans_of(act).items():
        steps = [step for step in plan if "export_requests" in step]
        assert steps, (sql, plan)
        for step in steps:
            # The one index that is read from end to end holds nothing but what is looked for.
            assert step.startswith("SEARCH") or "exports_notify" in step, f"{sql}\nscans: {plan}"
            used.append(step.split("INDEX ")[1].split()[0])
        assert not any("TEMP B-TREE FOR ORDER" in step for step in plan), f"{sql}\nis sorted: {plan}"
    assert used
    return used


PRIMARY_KEY = "sqlite_autoindex_export_requests_1"
SLOT = "sqlite_autoindex_export_requests_2"


HISTORY = {
    "": "exports_user",
    "status=failed": "exports_status",
    "status=failed&createdAfter=2026-01-02&createdBefore=2026-03-04": "exports_status",
    "codec=h264": "exports_codec",
    "projectId={project}": "exports_project",
    "createdBefore=2026-01-02": "exports_user",
}


@pytest.mark.parametrize("query", HISTORY)
def test_a_history_is_read_in_the_order_of_its_filters_index(api, export, project, query):
    """Its keys in that index alone, its rows by their keys."""
    url = f"/api/exports/history?{query.format(project=project.pk)}"
    next_url = _next(url, export)
    for address in (url, next_url):
        plans = plans_of(partial(api.get, address))
        keys, *rows = plans.values()
        assert len(rows) <= 1
        assert keys[0].startswith(f"SEARCH export_requests USING COVERING INDEX {HISTORY[query]} "), keys
        assert "id<?" in keys[0] or address == url
        assert len(keys) == 1
        assert all(PRIMARY_KEY in row[0] for row in rows)


def _next(url, export):
    cursor = base64.urlsafe_b64encode(b"o" + export.pk.bytes).decode().rstrip("=")
    return f"{url}&cursor={cursor}"


def test_costs_and_estimates_are_read_by_their_indexes(api, project, export):
    for by in ("day", "project", "status"):
        assert indexes_of(partial(api.get, f"/api/exports/costs?groupBy={by}")) == ["exports_costs"]
    assert indexes_of(lambda: estimate(project=project, codec="h264")) == ["exports_estimate"]


def test_the_sweepers_looks_are_answered_by_their_indexes(export, sent):
    due = ExportRequest.objects.due(NOW)
    assert indexes_of(lambda: list(due)) == ["exports_due"]
    assert indexes_of(lambda: list(due.defer("input_props")[:500])) == ["exports_due"]
    assert indexes_of(lambda: services.notify_left_over(now=NOW)) == ["exports_notify"]
    assert indexes_of(lambda: look_at_all(now=NOW)) == ["exports_lane"]
    assert indexes_of(lambda: list(ExportRequest.objects.with_output_before(NOW))) == ["exports_outputs"]
    assert indexes_of(lambda: services.forget_keys(now=NOW)) == ["exports_key_expiry"]
    for stage in Batch.Stage:
        left = Batch.objects.left_at(stage, before=NOW)[:20]
        assert "batches_stage" in left.explain()
        assert "TEMP B-TREE" not in left.explain()


def test_a_batchs_page_and_its_release_are_read_by_their_index(user, project):
    batch = Batch.objects.create(user=user, project=project, total=1, accepted=1, created_at=NOW)
    assert set(indexes_of(lambda: batch_of(batch))) == {"exports_batch"}
    assert indexes_of(lambda: services.batches._release(batch)) == ["exports_batch"]


def test_a_claim_is_answered_by_the_primary_key(export):
    report = RenderStarted(export_id=str(export.pk), attempt=1, token="t", version=export.version)

    def claim() -> None:
        assert services.claim_render(report=report, now=NOW) == "render"

    assert set(indexes_of(claim)) == {PRIMARY_KEY}


def test_holders_the_line_and_lanes_are_read_by_their_indexes(export, user):
    assert indexes_of(lambda: list(ExportRequest.objects.holders())) == [SLOT]
    assert indexes_of(lambda: ExportRequest.objects.line().first()) == ["exports_line"]
    assert indexes_of(lambda: ExportRequest.objects.line().exclude(user_id__in=[user.pk]).first()) == [
        "exports_line"
    ]
    assert indexes_of(lambda: ExportRequest.objects.waiting().filter(user_id=user.pk).first()) == [
        "exports_lane"
    ]
    assert indexes_of(lambda: look(user.pk, now=NOW)) == ["exports_first", "exports_lane"]
    assert indexes_of(lambda: free_place(user.pk, now=NOW)) == ["exports_line", SLOT]


def test_the_pending_exports_of_a_user_are_counted_by_their_index(export, user):
    assert indexes_of(lambda: services.check_quota(user.pk)) == ["exports_lane", "exports_lane"]


def test_the_place_in_the_line_is_counted_in_the_indexes_alone(export):
    ExportRequest.objects.update(slot=None, user_slot=None)
    export.refresh_from_db()
    plans = plans_of(lambda: queue_position(export))
    assert len(plans) == 2
    for plan in plans.values():
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
def test_creating_and_freeing_are_as_many_indexed_queries_at_any_length(crowd, project, sent, waiting):
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
        indexes = set(indexes_of(free))
    # Those of indexes_of itself, which explains them, are among them.
    explained = sum("EXPLAIN" in query["sql"] for query in freed.captured_queries)
    assert (len(created), len(freed) - explained) == (11, 16)
    assert indexes <= {PRIMARY_KEY, SLOT, "exports_line", "exports_first", "exports_lane"}

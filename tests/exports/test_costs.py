from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from exports import costs
from exports.models import ExportRequest, Project
from exports.pricing import PRICES, Architecture, prices_of
from exports.states import Status
from lambda_worker import signing
from lambda_worker.contract import RenderError, RenderFailure, RenderProgress, RenderThrottled, WorkerUse
from tests.conftest import post_webhook, remotion_body
from tests.exports.test_api import ask
from tests.exports.test_journey import claim, failed, progress, started, status, success

PRICE = PRICES["us-east-1"]
USE = WorkerUse(ms=100, memory_mb=512)
STEP = Decimal("0.05") * PRICE.lambda_gb_second[Architecture.ARM64] + PRICE.lambda_request
MESSAGE = 3 * PRICE.sqs_request


def spent(api: Any, **query: str) -> Any:
    answer = api.get("/api/exports/costs", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def put(project: Project, **fields: Any) -> ExportRequest:
    now = timezone.now()
    known = {
        "user_id": project.user_id,
        "codec": "h264",
        "created_at": now,
        "queued_at": now,
        "updated_at": now,
    }
    return ExportRequest.objects.create(project=project, **{**known, **fields})


def completed(project: Project, usd: str, **fields: Any) -> ExportRequest:
    return put(project, status="completed", completed_at=timezone.now(), render_cost_usd=usd, **fields)


@pytest.fixture
def other(db: None) -> tuple[APIClient, Project]:
    eve = User.objects.create_user("eve")
    client = APIClient()
    client.force_authenticate(eve)
    return client, Project.objects.create(user=eve, title="Eve's", composition_id="M")


# --- Prices -------------------------------------------------------------------------------------------------


def test_the_reference_calculation():
    x86, gb, seconds = Architecture.X86_64, 1024, 1000
    worker = PRICE.compute(architecture=x86, mb_ms=2 * gb * 60 * seconds)
    remotion = PRICE.compute(architecture=x86, mb_ms=3 * gb * 120 * seconds)
    storage = PRICE.storage(size_bytes=50_000_000, months=Decimal(1))
    queue = PRICE.queue(messages=1)
    transfer = PRICE.transfer(size_bytes=1000 * 50_000_000, free_gb=PRICE.transfer_free_gb)
    assert worker == 2 * 60 * Decimal("0.0000166667")
    assert (round(worker, 4), round(remotion, 4)) == (Decimal("0.0020"), Decimal("0.0060"))
    assert storage == Decimal("0.00115")
    assert queue == Decimal("0.0000012")
    assert 1000 * queue == Decimal("0.0012")
    assert transfer == 0
    one = worker + remotion + storage + queue
    assert (round(one, 3), round(1000 * one)) == (Decimal("0.009"), 9)


def test_transfer_costs_what_is_above_its_allowance():
    assert PRICE.transfer(size_bytes=150 * 10**9, free_gb=PRICE.transfer_free_gb) == Decimal("4.50")


def test_arm_costs_a_fifth_less_than_x86_in_every_region():
    for prices in PRICES.values():
        by = prices.lambda_gb_second
        assert round(by[Architecture.ARM64] / by[Architecture.X86_64], 3) == Decimal("0.8")


@pytest.mark.parametrize(
    ("region", "named", "gb_month"),
    [("eu-central-1", "eu-central-1", "0.0245"), ("mars-north-1", "us-east-1", "0.023")],
)
def test_a_region_whose_prices_are_not_known_is_priced_as_us_east_1_and_says_so(
    api, settings, region, named, gb_month
):
    settings.AWS_REGION = region
    assert spent(api)["prices"] == {"region": named, "asOf": prices_of(region).as_of.isoformat()}
    assert prices_of(region).s3_gb_month == Decimal(gb_month)


# --- What one export costs ----------------------------------------------------------------------------------


def cost(api: Any, export: ExportRequest) -> dict[str, Any]:
    found: dict[str, Any] = status(api, export)["cost"]
    return found


def test_a_completed_export_costs_its_render_worker_queue_file_and_download(api, export, report):
    report(claim(export))
    for webhook in (started(export), progress(export, 0.5, cost=0.01), success(export)):
        assert report(with_use(webhook)).status_code == 200
    ExportRequest.objects.update(output_size_bytes=50_000_000)
    expected = {
        "remotion": Decimal("0.02"),
        "worker": 3 * STEP,
        "queue": 3 * MESSAGE,
        "storage": Decimal("0.00115") + PRICE.s3_put + PRICE.s3_get,
        "transfer": Decimal("0.0045"),
    }
    seen = cost(api, export)
    assert seen["currency"] == "USD"
    for name, amount in expected.items():
        assert Decimal(seen["parts"][name]) == round(amount, 8), name
    assert Decimal(seen["amount"]) == round(sum(expected.values()), 8)
    assert seen["estimated"] == "0"


def with_use(webhook: Any) -> Any:
    return replace(webhook, worker=USE)


def test_a_worker_from_before_the_costs_costs_nothing_that_is_known(api, export, report):
    report(claim(export))
    report(started(export))
    assert cost(api, export)["parts"]["worker"] == "0"


def test_what_remotion_itself_reports_adds_no_worker_time(api, client, export, report):
    report(claim(export))
    report(started(export))
    body = remotion_body(export, costs={"estimatedCost": 0.03})
    post_webhook(client, body, signing.sign(body, secret="old-secret", scheme=signing.Scheme.REMOTION))
    seen = cost(api, export)["parts"]
    assert (seen["remotion"], seen["worker"]) == ("0.03", "0")


def test_a_start_that_failed_costs_the_workers_time(api, export, report):
    report(claim(export))
    report(RenderThrottled(export_id=str(export.pk), attempt=1, token="t1", worker=USE))
    assert Decimal(cost(api, export)["parts"]["worker"]) == round(STEP, 8)
    version = ExportRequest.objects.get().version
    report(claim(export, "t2", version))
    refused = RenderError(
        export_id=str(export.pk),
        attempt=1,
        token="t2",
        worker=USE,
        errors=(RenderFailure(message="No."),),
        code="function_missing",
        retryable=False,
    )
    report(refused)
    seen = status(api, export)
    assert seen["status"] == "failed"
    assert Decimal(seen["cost"]["parts"]["worker"]) == round(2 * STEP, 8)


def test_a_failed_attempt_and_the_one_after_it_both_cost(api, export, report):
    report(claim(export))
    report(started(export))
    report(progress(export, 0.5, cost=0.01))
    report(failed(export, "Target closed"))
    row = ExportRequest.objects.get()
    assert row.attempt == 2
    report(claim(row, "t2", row.version, attempt=2))
    report(started(row, "r2", "t2", attempt=2))
    report(success(row, "r2", attempt=2))
    assert Decimal(cost(api, export)["parts"]["remotion"]) == Decimal("0.03")


def test_a_cancelled_export_costs_what_its_render_has_cost_and_what_comes_late(api, export, report):
    report(claim(export))
    report(started(export))
    report(progress(export, 0.5, cost=0.01))
    assert api.post(f"/api/exports/{export.pk}/cancel").status_code == 200
    assert cost(api, export)["amount"] == "0.01"
    report(success(export))
    late = cost(api, export)
    assert late["amount"] == "0.02"
    assert late["estimated"] == "0"
    [group] = spent(api, groupBy="status")["groups"]
    assert (group["key"], group["spent"]) == ("cancelled", "0.02")


def test_a_retry_keeps_what_was_spent_before(api, export, report, sent):
    report(claim(export))
    report(started(export))
    report(progress(export, 0.5, cost=0.01))
    report(failed(export, "The chart has no data"))
    assert api.post(f"/api/exports/{export.pk}/retry").status_code == 202
    seen = status(api, export)
    assert (seen["status"], seen["cost"]["amount"]) == ("pending", "0.01")


def test_a_file_kept_for_ten_days_costs_a_third_of_a_month(api, project, settings):
    settings.OUTPUT_RETENTION_DAYS = 10
    export = completed(project, "0.01", output_size_bytes=3 * 10**9)
    storage = Decimal(cost(api, export)["parts"]["storage"])
    assert storage == round(Decimal("0.023") + PRICE.s3_put + PRICE.s3_get, 8)


# --- What it will cost --------------------------------------------------------------------------------------


def test_a_projects_first_export_is_taken_for_the_documented_render(api, export):
    usage = costs.UnmeasuredRender().usage(prices=PRICE)
    expected = costs.cost_of(usage, prices=PRICE).total
    assert Decimal(cost(api, export)["estimated"]) == round(expected, 8)
    # 3 GB x 120 s on arm64, 50 MB kept and sent, and next to nothing for the rest.
    assert round(expected, 4) == Decimal("0.0105")


def test_an_export_is_taken_for_what_the_projects_last_ones_with_its_codec_have_cost(
    api, project, sent, other
):
    for usd in ("0.01", "0.03"):
        completed(project, usd)
    completed(project, "0.9", codec="gif")
    completed(other[1], "0.9")
    put(project, status="failed", completed_at=timezone.now(), render_cost_usd="0.9")
    put(project, status="completed", completed_at=timezone.now())
    export = ask(api, project).json()["exportId"]
    one_file = PRICE.s3_put + PRICE.s3_get
    row = ExportRequest.objects.get(pk=export)
    assert row.estimated_cost_usd == round(Decimal("0.02") + one_file, 8)


def test_only_the_last_twenty_count_for_an_estimate(api, project, sent):
    completed(project, "0.9", created_at=timezone.now())
    ExportRequest.objects.update(completed_at=timezone.now() - timedelta(days=1))
    for _ in range(20):
        completed(project, "0.01")
    export = ask(api, project).json()["exportId"]
    assert ExportRequest.objects.get(pk=export).estimated_cost_usd < Decimal("0.011")


def test_what_is_still_to_come_falls_with_what_is_spent_and_never_below_nothing(api, export, report):
    before = Decimal(cost(api, export)["estimated"])
    report(claim(export))
    report(started(export))
    report(progress(export, 0.2, cost=0.004))
    assert Decimal(cost(api, export)["estimated"]) == before - Decimal("0.004")
    report(progress(export, 0.4, cost=0.5))
    assert cost(api, export)["estimated"] == "0"


# --- Many exports -------------------------------------------------------------------------------------------


def test_costs_by_day_are_those_of_the_day_that_each_was_asked_for(api, project):
    now = timezone.now()
    for days, usd in ((0, "0.01"), (0, "0.02"), (3, "0.04")):
        completed(project, usd, created_at=now - timedelta(days=days), output_size_bytes=0)
    found = spent(api)
    assert (found["groupBy"], found["currency"]) == ("day", "USD")
    assert [(group["key"], group["exports"], group["parts"]["remotion"]) for group in found["groups"]] == [
        (now.date().isoformat(), 2, "0.03"),
        ((now - timedelta(days=3)).date().isoformat(), 1, "0.04"),
    ]
    assert (found["total"]["exports"], found["total"]["parts"]["remotion"]) == (3, "0.07")
    assert found["groups"][0]["title"] is None


def test_days_are_those_of_utc(api, project):
    for hour in (datetime(2026, 3, 1, 23, 59, 59, 999000, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)):
        completed(project, "0.01", created_at=hour)
    query = {"createdAfter": "2026-03-01T00:00:00+00:00", "createdBefore": "2026-03-03T00:00:00+00:00"}
    assert [group["key"] for group in spent(api, **query)["groups"]] == ["2026-03-02", "2026-03-01"]


def test_costs_by_project_name_each_and_come_dearest_first(api, project, user):
    dear = Project.objects.create(user=user, title="Dear", composition_id="M")
    completed(project, "0.01")
    completed(dear, "0.05")
    gone = Project.objects.create(user=user, title="Gone", composition_id="M")
    completed(gone, "0.02")
    gone.delete()
    found = spent(api, groupBy="project")
    assert [(group["key"], group["title"], group["parts"]["remotion"]) for group in found["groups"]] == [
        (str(dear.pk), "Dear", "0.05"),
        (None, None, "0.02"),
        (str(project.pk), "Report", "0.01"),
    ]


def test_costs_by_status_tell_what_failed_and_what_still_runs(api, project):
    completed(project, "0.01", output_size_bytes=10**9)
    put(project, status="failed", render_cost_usd="0.02", estimated_cost_usd="0.05")
    put(project, status="cancelled", render_cost_usd="0.03", estimated_cost_usd="0.05")
    put(project, status="processing", render_cost_usd="0.01", estimated_cost_usd="0.04")
    put(project, status="processing", render_cost_usd="0.01", estimated_cost_usd="0.04")
    put(project, estimated_cost_usd="0.05")
    found = spent(api, groupBy="status")
    assert [(g["key"], g["exports"], g["running"], g["estimated"]) for g in found["groups"]] == [
        ("pending", 1, 1, "0.05"),
        ("processing", 2, 2, "0.06"),
        ("completed", 1, 0, "0"),
        ("failed", 1, 0, "0"),
        ("cancelled", 1, 0, "0"),
    ]
    assert found["total"]["estimated"] == "0.11"
    assert found["total"]["running"] == 3
    assert found["total"]["parts"] == {
        "remotion": "0.08",
        "worker": "0",
        "queue": "0",
        "storage": "0.0230054",
        "transfer": "0.09",
    }
    assert Decimal(found["total"]["spent"]) == sum(Decimal(group["spent"]) for group in found["groups"])


def test_a_group_is_what_its_exports_are_together(api, project, sent):
    for number in range(3):
        completed(
            project,
            f"0.01{number}",
            output_size_bytes=1_234_567 * number,
            worker_messages=number,
            worker_mb_ms=number * 51_200,
        )
    total = sum(Decimal(cost(api, export)["amount"]) for export in ExportRequest.objects.all())
    for by in ("day", "project", "status"):
        [group] = spent(api, groupBy=by)["groups"]
        assert Decimal(group["spent"]) == pytest.approx(total, abs=Decimal("0.00000003"))


def test_a_range_counts_its_beginning_and_not_its_end(api, project):
    for day in (1, 2, 3):
        completed(project, f"0.0{day}", created_at=datetime(2026, 3, day, tzinfo=UTC))
    query = {"createdAfter": "2026-03-01", "createdBefore": "2026-03-03"}
    found = spent(api, **query)
    assert found["total"]["parts"]["remotion"] == "0.03"
    assert (found["createdAfter"], found["createdBefore"]) == ("2026-03-01T00:00:00Z", "2026-03-03T00:00:00Z")


def test_unless_it_is_asked_otherwise_the_last_thirty_days_count(api, project):
    for days, usd in ((29, "0.01"), (31, "0.02")):
        completed(project, usd, created_at=timezone.now() - timedelta(days=days))
    assert spent(api)["total"]["parts"]["remotion"] == "0.01"


def test_nothing_asked_for_has_cost_nothing(api):
    found = spent(api)
    assert found["groups"] == []
    assert found["total"] == {
        "exports": 0,
        "running": 0,
        "spent": "0",
        "estimated": "0",
        "parts": dict.fromkeys(("remotion", "worker", "queue", "storage", "transfer"), "0"),
    }


def test_nobody_elses_exports_are_counted(api, project, other, admin_client):
    eve, hers = other
    completed(project, "0.01")
    completed(hers, "0.05")
    for by in ("day", "project", "status"):
        assert spent(api, groupBy=by)["total"]["parts"]["remotion"] == "0.01"
        assert spent(eve, groupBy=by)["total"]["parts"]["remotion"] == "0.05"
        assert admin_client.get(f"/api/exports/costs?groupBy={by}").json()["total"]["exports"] == 0


def test_costs_ask_for_credentials(client, db):
    answer = client.get("/api/exports/costs")
    assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"groupBy": "week"}, "groupBy"),
        ({"groupby": "day"}, "groupby"),
        ({"createdAfter": "yesterday"}, "createdAfter"),
        ({"createdAfter": "2026-03-02", "createdBefore": "2026-03-02"}, "createdBefore"),
        ({"createdAfter": "2026-03-02", "createdBefore": "2026-03-01"}, "createdBefore"),
        ({"createdAfter": "2024-01-01", "createdBefore": "2026-03-01"}, "createdBefore"),
        ({"createdBefore": "0001-01-01T00:00:00Z"}, "createdBefore"),
        ({"createdAfter": "0001-01-01T00:00:00Z"}, "createdBefore"),
        ({"createdBefore": "9999-12-31T23:59:59-12:00"}, "createdBefore"),
        ({"createdAfter": "9999-12-31T23:59:59Z"}, "createdBefore"),
    ],
)
def test_a_question_that_cannot_be_answered_says_where(api, query, parameter):
    answer = api.get("/api/exports/costs", query)
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


def test_a_format_may_be_asked_for_by_the_address(api):
    assert api.get("/api/exports/costs?format=json").status_code == 200


@pytest.mark.parametrize(("by", "queries"), [("day", 2), ("project", 3), ("status", 2)])
def test_costs_are_as_many_queries_at_any_number_of_exports(api, user, by, queries):
    for number in (1, 30):
        for _ in range(number):
            completed(Project.objects.create(user=user, title="P", composition_id="M"), "0.01")
        with CaptureQueriesContext(connection) as asked:
            assert spent(api, groupBy=by)["total"]["exports"] >= number
        assert len(asked) == queries  # the first reads the user


def test_every_status_has_its_place_among_the_groups(api, project):
    for each in Status:
        put(project, status=each)
    # Nobody sees the rows of a batch that isn't committed.
    shown = [each for each in Status if each is not Status.STAGED]
    assert [group["key"] for group in spent(api, groupBy="status")["groups"]] == shown


def test_a_report_counts_its_worker_time_and_moves_nothing(export, report):
    report(claim(export))
    before = ExportRequest.objects.get()
    first = RenderProgress(
        export_id=str(export.pk), attempt=1, render_id="r1", bucket_name="b", token="t1", worker=USE
    )
    report(first)
    after = ExportRequest.objects.get()
    assert (after.worker_messages, after.worker_mb_ms) == (1, 51_200)
    assert after.version == before.version + 1
    report(RenderProgress(export_id=str(export.pk), attempt=1, render_id="r1", bucket_name="b", worker=USE))
    later = ExportRequest.objects.get()
    assert (later.worker_messages, later.worker_mb_ms, later.version) == (2, 102_400, after.version)


def test_a_report_of_an_export_that_there_is_not_is_a_404_with_worker_time_too(report, db):
    answer = report(
        RenderProgress(export_id="nonsense", attempt=1, render_id="r1", bucket_name="b", worker=USE)
    )
    assert answer.status_code == 404

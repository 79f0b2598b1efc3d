from decimal import Decimal

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tests.conftest import NOW


@pytest.mark.django_db(transaction=True)
def test_exports_from_before_the_line_keep_their_files_or_wait(project):
    before = [("exports", "0002_line")]
    MigrationExecutor(connection).migrate(before)
    # The models as they were then.
    rows = (
        MigrationExecutor(connection).loader.project_state(before).apps.get_model("exports", "ExportRequest")
    )
    about = {
        "project_id": project.pk,
        "user_id": project.user_id,
        "created_at": NOW,
        "queued_at": NOW,
        "updated_at": NOW,
    }
    try:
        completed = rows.objects.create(**about, status="completed", completed_at=NOW)
        pending = rows.objects.create(**about, due_at=NOW)
        MigrationExecutor(connection).migrate([("exports", "0003_existing_exports")])
        assert rows.objects.get(pk=completed.pk).output_at == NOW
        assert rows.objects.get(pk=pending.pk).due_at is None
    finally:
        MigrationExecutor(connection).migrate(MigrationExecutor(connection).loader.graph.leaf_nodes())


@pytest.mark.django_db(transaction=True)
def test_exports_from_before_costs_were_kept_have_what_their_renders_cost(project):
    before = [("exports", "0008_one_index_by_user")]
    executor = MigrationExecutor(connection)
    executor.migrate(before)
    apps = MigrationExecutor(connection).loader.project_state(before).apps
    exports, renders = (apps.get_model("exports", name).objects for name in ("ExportRequest", "Render"))
    moments = {"created_at": NOW, "queued_at": NOW, "updated_at": NOW}
    try:
        dear, free = (
            exports.create(project_id=project.pk, user_id=project.user_id, status="completed", **moments)
            for _ in range(2)
        )
        for number, cost in enumerate(("0.0012", "0.0003")):
            renders.create(
                export_id=dear.pk, attempt=1, render_id=f"r{number}", cost_usd=Decimal(cost), created_at=NOW
            )
        MigrationExecutor(connection).migrate([("exports", "0009_existing_costs")])
        assert exports.get(pk=dear.pk).render_cost_usd == Decimal("0.0015")
        assert exports.get(pk=free.pk).render_cost_usd == 0
    finally:
        MigrationExecutor(connection).migrate(MigrationExecutor(connection).loader.graph.leaf_nodes())

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

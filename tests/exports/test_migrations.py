import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from exports.models import ExportRequest
from renderhub.ids import uuid7
from tests.conftest import NOW


@pytest.mark.django_db(transaction=True)
def test_exports_from_before_the_line_keep_their_files_or_wait(project):
    then = MigrationExecutor(connection).migrate([("exports", "0002_line")])
    exports = then.apps.get_model("exports", "ExportRequest").objects
    about = {
        "project_id": project.pk,
        "user_id": project.user_id,
        "created_at": NOW,
        "queued_at": NOW,
        "updated_at": NOW,
    }
    completed = exports.create(**about, id=uuid7(), status="completed", completed_at=NOW)
    pending = exports.create(**about, id=uuid7(), due_at=NOW)
    try:
        MigrationExecutor(connection).migrate([("exports", "0003_existing_exports")])
    finally:
        MigrationExecutor(connection).migrate(MigrationExecutor(connection).loader.graph.leaf_nodes())
    assert ExportRequest.objects.get(pk=completed.pk).output_at == NOW
    assert ExportRequest.objects.get(pk=pending.pk).due_at is None

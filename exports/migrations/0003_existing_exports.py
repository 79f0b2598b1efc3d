from typing import Any

from django.db import migrations
from django.db.models import F


def let_them_wait_and_keep_their_files(apps: Any, schema_editor: Any) -> None:
    exports = apps.get_model("exports", "ExportRequest").objects
    exports.filter(status="completed").update(output_at=F("completed_at"))
    # Without a slot nothing is due: the sweeper puts them in the line.
    exports.filter(status="pending", slot=None).update(due_at=None)


class Migration(migrations.Migration):
    dependencies = [("exports", "0002_line")]

    operations = [migrations.RunPython(let_them_wait_and_keep_their_files, migrations.RunPython.noop)]

from typing import Any

from django.db import migrations
from django.db.models import Sum


def add_up_what_renders_have_cost(apps: Any, schema_editor: Any) -> None:
    """Give exports from before the sum of their renders' costs, which each has kept for itself until now."""
    exports = apps.get_model("exports", "ExportRequest").objects
    renders = apps.get_model("exports", "Render").objects
    for row in renders.values("export_id").annotate(usd=Sum("cost_usd")).filter(usd__gt=0).order_by():
        exports.filter(pk=row["export_id"], render_cost_usd=0).update(render_cost_usd=row["usd"])


class Migration(migrations.Migration):
    dependencies = [("exports", "0008_one_index_by_user")]

    operations = [migrations.RunPython(add_up_what_renders_have_cost, migrations.RunPython.noop)]

import json
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand

from exports.models import Project
from renderhub.environment import Environment

COMPOSITION_ID = "MainComposition"


class Command(BaseCommand):
    """Makes the demo's user and project."""

    help = "Create the user demo (password from DEMO_PASSWORD) and a sample project, unless they are there."

    def handle(self, *args: Any, **options: Any) -> None:
        """Create what is missing, and print the log-in and the project's id as JSON."""
        password = Environment().text("DEMO_PASSWORD", "demo")
        user, _ = get_user_model().objects.get_or_create(
            username="demo", defaults={"email": "demo@example.com", "is_staff": True, "is_superuser": True}
        )
        user.set_password(password)
        user.save()
        schema = json.loads((settings.BASE_DIR / f"compositions/schemas/{COMPOSITION_ID}.json").read_text())
        project, _ = Project.objects.get_or_create(
            user=user,
            composition_id=COMPOSITION_ID,
            defaults={
                "title": "Quarterly figures",
                "props_schema": schema,
                "input_props": schema.get("default", {}),
            },
        )
        self.stdout.write(
            json.dumps({"username": user.get_username(), "password": password, "projectId": str(project.pk)})
        )

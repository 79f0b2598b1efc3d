import random
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User

from exports.models import ExportRequest, Project
from exports.services.requests import index_metadata
from exports.states import Status
from renderhub.ids import uuid7

START = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def many(user, project):
    """Two hundred exports of a user in two projects, a minute apart, and as many of someone else."""
    chance = random.Random(6)
    eve = User.objects.create_user("eve")
    projects = {
        user: [project, Project.objects.create(user=user, title="Other", composition_id="M")],
        eve: [Project.objects.create(user=eve, title="Eve's", composition_id="M")],
    }
    rows = []
    for number in range(400):
        owner = (user, eve)[number % 2]
        at = START + timedelta(minutes=number)
        metadata = {"shop": chance.choice("ab"), "order": str(number // 8), "isnull": "0"}
        if chance.random() < 0.1:
            metadata["0"] = "rare"
        rows.append(
            ExportRequest(
                id=uuid7(at),
                project=chance.choice(projects[owner]),
                user_id=owner.pk,
                title=f"T{number}",
                composition_id="M",
                codec=chance.choice(["h264", "h264", "h264", "gif"]),
                status=chance.choice([Status.COMPLETED] * 8 + [Status.FAILED, Status.CANCELLED]),
                metadata=metadata,
                created_at=at,
                queued_at=at,
                updated_at=at,
            )
        )
    ExportRequest.objects.bulk_create(rows)
    index_metadata(rows)
    return [row for row in reversed(rows) if row.user_id == user.pk]

"""The system's records, as they lie in its database. Django must be set up before this is imported."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken

from exports.models import ExportRequest, Project
from exports.states import RUNNING
from notifications.models import Delivery
from tests.chaos.users import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """Who holds a slot at one moment: the exports and attempts, and the most of one user."""

    exports: frozenset[tuple[str, int]]
    most_of_a_user: int


def prepare(users: int) -> list[Account]:
    """Migrate the database, and create the users and a project of each."""
    call_command("migrate", verbosity=0)
    accounts = []
    for number in range(users):
        name = f"chaos-{number}"
        user = get_user_model().objects.create(username=name, email=f"{name}@example.com")
        project = Project.objects.create(user=user, title=name, composition_id="none")
        token = AccessToken.for_user(user)
        # Longer than any run.
        token["exp"] += 86_400
        accounts.append(Account(token=str(token), project_id=str(project.pk)))
    return accounts


def holders() -> Holders:
    """Return who holds a slot now."""
    rows = list(ExportRequest.objects.filter(slot__isnull=False).values_list("pk", "attempt", "user_id"))
    users = Counter(user for _, _, user in rows)
    return Holders(
        exports=frozenset((str(pk), attempt) for pk, attempt, _ in rows),
        most_of_a_user=max(users.values(), default=0),
    )


def unfinished() -> int:
    """Return how many exports have not ended, or have notifications that are not written or not sent.

    One whose sweeper was killed while it sent is out of sight until its lease is over, and isn't counted.
    """
    running = ExportRequest.objects.filter(status__in=RUNNING).count()
    unwritten = ExportRequest.objects.filter(notify_pending=True).count()
    return running + unwritten + Delivery.objects.due(timezone.now()).count()


def exports() -> Sequence[Mapping[str, Any]]:
    """Return all exports."""
    fields = (
        *(
            "pk",
            "composition_id",
            "status",
            "attempt",
            "asked_attempt",
            "timeline",
            "render_id",
            "output_key",
        ),
        *("error_code", "slot", "user_slot", "rank", "due_at", "notify_pending"),
    )
    return list(ExportRequest.objects.values(*fields))


def deliveries() -> Sequence[Mapping[str, Any]]:
    """Return all deliveries."""
    return list(Delivery.objects.values("pk", "kind", "key", "channel", "status"))

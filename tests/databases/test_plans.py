"""What is asked often is answered by an index, as each database tells."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from exports import services
from exports.costs import estimate
from exports.models import Batch, ExportRequest, MetadataPair, Project, Render
from exports.representations import batch_of, queue_position
from exports.services.line import free_place, look, look_at_all
from lambda_worker.contract import RenderStarted, RenderSuccess
from notifications.models import Delivery
from notifications.services import notify, send_due
from renderhub.ids import uuid7
from renderhub.models import RevokedToken
from renderhub.tokens import forget_expired_tokens
from tests.conftest import NOW, FakeQueue
from tests.databases.plans import plans_of

# PostgreSQL weighs costs, and reads or sorts what is small.
EXPORTS, ROWS = (12_000, 3_000) if connection.vendor == "postgresql" else (500, 500)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the looks are at: one user's export among those of many."""

    user: User
    project: Project
    export: ExportRequest
    waiting: ExportRequest
    batch: Batch
    api: APIClient
    browser: Client
    queue: FakeQueue
    refresh: str


@pytest.fixture
def world(db, settings, sent, outputs, export, api, client, user, project):
    """A full database, most of whose exports have ended. One that is empty is never read by an index."""
    settings.RENDER_MAX_CONCURRENCY = 2
    user.email = "ada@example.com"
    user.save()
    User.objects.bulk_create(
        User(username=f"user-{n}", email=f"user-{n}@example.com", password="!") for n in range(ROWS)
    )
    users = list(User.objects.exclude(pk=user.pk))
    Project.objects.bulk_create(Project(user=each, title="Other", composition_id="M") for each in users)
    # One user has many: that is what indexes by user are for.
    exports = [
        _export(n, project=project, user=user if n % 121 == 0 else users[n % ROWS]) for n in range(EXPORTS)
    ]
    batches = [
        Batch(
            user=user,
            project=project,
            total=1,
            accepted=1,
            stage=Batch.Stage.RELEASED if n % 100 else Batch.Stage.COMMITTED,
            idempotency_key=f"key-{n}",
            created_at=NOW,
            committed_at=NOW,
        )
        for n in range(ROWS)
    ]
    Batch.objects.bulk_create(batches)
    for n, each in enumerate(exports):
        each.batch = batches[n % ROWS]
    ExportRequest.objects.bulk_create(exports)
    MetadataPair.objects.bulk_create(
        MetadataPair(user=each.user, key="order", value=str(n % 10), export_id=each.pk)
        for n, each in enumerate(exports[:ROWS])
    )
    Render.objects.bulk_create(
        Render(export=each, attempt=1, render_id=f"r-{n}", bucket_name="b", created_at=NOW)
        for n, each in enumerate(exports[:ROWS])
    )
    Delivery.objects.bulk_create(
        Delivery(
            user=each.user,
            kind="export_completed",
            key=f"export:{each.pk}",
            channel="email",
            created_at=NOW,
            status=Delivery.Status.PENDING if n % 100 == 0 else Delivery.Status.SENT,
            due_at=NOW + timedelta(days=n) if n % 100 == 0 else None,
        )
        for n, each in enumerate(exports[:ROWS])
    )
    RevokedToken.objects.bulk_create(
        RevokedToken(jti=f"token-{n}", expires_at=NOW + timedelta(days=3650 + n)) for n in range(ROWS)
    )
    Session.objects.bulk_create(
        Session(session_key=f"session-{n}", session_data="", expire_date=NOW + timedelta(days=3650 + n))
        for n in range(ROWS)
    )
    if connection.vendor == "postgresql":
        # What its autovacuum does in time.
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    client.force_login(user)
    tokens = APIClient().post("/api/auth/token", {"username": "ada", "password": "pass-word-1"}).json()
    return World(
        user=user,
        project=project,
        export=export,
        waiting=exports[0],
        batch=batches[0],
        api=api,
        browser=client,
        queue=sent,
        refresh=tokens["refresh"],
    )


def _export(n: int, *, project: Project, user: User) -> ExportRequest:
    waits = n % 20 == 0
    moment = NOW + timedelta(seconds=n)
    return ExportRequest(
        id=uuid7(),
        project=project,
        user=user,
        codec="h264",
        status="pending" if waits else "completed",
        created_at=moment,
        queued_at=moment,
        updated_at=moment,
        rank=moment if waits and n % 121 else None,
        due_at=moment if n % 200 == 1 else None,
        output_at=None if waits or n % 10 else moment,
        notify_pending=n % 500 == 1,
        idempotency_key=f"key-{n}",
        key_expires_at=moment + timedelta(days=1) if n % 100 == 0 else None,
    )


def claim(world: World) -> None:
    report = RenderStarted(export_id=str(world.export.pk), attempt=1, token="t", version=world.export.version)
    assert services.claim_render(report=report, now=NOW) == "render"


def complete(world: World) -> None:
    report = RenderSuccess(
        export_id=str(world.export.pk), attempt=1, render_id="r-new", bucket_name="b", output_size_bytes=1
    )
    assert services.complete_export(report=report, queue=world.queue, now=NOW)


def get(world: World, url: str) -> None:
    assert world.api.get(url).status_code == 200


class Silent:
    """Sends nothing."""

    def send(self, delivery: Delivery) -> None:
        pass


EXPORT = "export_requests(id)"
USER = "auth_user(id)"

ROWS_OF_A_PAGE = f"{EXPORT} or exports_user or exports_status or exports_codec or exports_project"

# Where two would do, both stand there.
LOOKS: Mapping[str, tuple[Callable[[World], Any], set[str]]] = {
    "history": (lambda world: get(world, "/api/exports/history"), {USER, "exports_user", ROWS_OF_A_PAGE}),
    "history from a moment on": (
        lambda world: get(world, "/api/exports/history?createdBefore=2096-01-02"),
        {USER, "exports_user", ROWS_OF_A_PAGE},
    ),
    "history by status": (
        lambda world: get(world, "/api/exports/history?status=failed"),
        {USER, "exports_status", ROWS_OF_A_PAGE},
    ),
    "history by codec": (
        lambda world: get(world, "/api/exports/history?codec=h264"),
        {USER, "exports_codec or exports_user", ROWS_OF_A_PAGE},
    ),
    "history by project": (
        lambda world: get(world, f"/api/exports/history?projectId={world.project.pk}"),
        {USER, "exports_project or exports_user", ROWS_OF_A_PAGE},
    ),
    "history by metadata": (
        lambda world: get(world, "/api/exports/history?metadata[order]=0"),
        {USER, "metadata_pair", ROWS_OF_A_PAGE},
    ),
    "costs": (
        lambda world: list(
            ExportRequest.objects.filter(
                user_id=world.user.pk, created_at__gte=NOW, created_at__lt=NOW + timedelta(minutes=10)
            ).values_list("created_at")
        ),
        {"exports_costs"},
    ),
    "an estimate": (
        lambda world: estimate(project=world.project, codec="h264"),
        {"exports_estimate"},
    ),
    "one's projects": (lambda world: get(world, "/api/projects"), {USER, "projects_user"}),
    "a status": (
        lambda world: get(world, f"/api/exports/{world.export.pk}/status"),
        {USER, f"{EXPORT} or exports_user"},
    ),
    "what is due": (lambda world: list(ExportRequest.objects.due(NOW)), {"exports_due"}),
    "some of what is due": (
        lambda world: list(ExportRequest.objects.due(NOW).defer("input_props")[:500]),
        {"exports_due"},
    ),
    "ends that are not told": (
        lambda world: list(
            ExportRequest.objects.filter(notify_pending=True)
            .order_by("updated_at")
            .defer("input_props")[:100]
        ),
        {"exports_notify"},
    ),
    "files kept long enough": (
        lambda world: list(ExportRequest.objects.with_output_before(NOW)[:100]),
        {"exports_outputs"},
    ),
    "the head of the line": (lambda world: ExportRequest.objects.line().first(), {"exports_line"}),
    "the head, without some users": (
        lambda world: ExportRequest.objects.line().exclude(user_id__in=[world.user.pk]).first(),
        {"exports_line"},
    ),
    "how many stand in it": (lambda world: ExportRequest.objects.line().count(), {"exports_line"}),
    "the first of a lane": (
        lambda world: ExportRequest.objects.waiting().filter(user_id=world.user.pk).first(),
        {"exports_lane"},
    ),
    "a lane that has none in the line": (
        lambda world: look(world.user.pk, now=NOW),
        {"exports_first", "exports_lane", EXPORT},
    ),
    "users who have none in the line": (lambda world: look_at_all(now=NOW), {"exports_lane"}),
    "the place in a lane": (
        lambda world: queue_position(world.waiting),
        {"exports_lane or exports_user", "exports_line"},
    ),
    "holders of slots": (lambda world: list(ExportRequest.objects.holders()), {"export_requests(slot)"}),
    "a free place": (lambda world: free_place(world.user.pk, now=NOW), {"exports_line"}),
    "pending exports of a user": (
        lambda world: services.check_quota(world.user.pk),
        {"exports_lane or exports_user", "export_requests(slot) or exports_lane"},
    ),
    "keys that are kept long enough": (
        lambda world: list(
            ExportRequest.objects.filter(key_expires_at__lte=NOW)
            .order_by("key_expires_at")
            .values_list("pk", flat=True)[:100]
        ),
        {"exports_key_expiry"},
    ),
    "an export by its idempotency key": (
        lambda world: ExportRequest.objects.filter(idempotency_key="key-7").exists(),
        {"export_requests(idempotency_key)"},
    ),
    "batches to release": (
        lambda world: list(Batch.objects.left_at(Batch.Stage.COMMITTED, before=NOW)[:20]),
        {"batches_stage"},
    ),
    "a batch by its idempotency key": (
        lambda world: Batch.objects.filter(idempotency_key="key-7").exists(),
        {"batches(idempotency_key)"},
    ),
    "a batch": (lambda world: batch_of(world.batch), {"exports_batch"}),
    "a batch that is let wait": (
        lambda world: services.batches._release(world.batch),
        {"exports_batch", "batches(id)"},
    ),
    "a claim": (claim, {EXPORT}),
    "an end, and who is next": (
        complete,
        {
            EXPORT,
            USER,
            "renders(render_id)",
            "deliveries_once",
            "export_requests(slot)",
            "exports_line",
            "exports_first",
            "exports_lane",
        },
    ),
    "a render by its id": (
        lambda world: Render.objects.filter(render_id="r-7").exists(),
        {"renders(render_id)"},
    ),
    "a user by name": (lambda world: User.objects.get(username="ada"), {"auth_user(username)"}),
    "signing in": (
        lambda world: APIClient().post("/api/auth/token", {"username": "ada", "password": "pass-word-1"}),
        {"auth_user(username)"},
    ),
    "a session": (
        lambda world: world.browser.get("/api/exports/history"),
        {"django_session(session_key)", USER, "exports_user", ROWS_OF_A_PAGE},
    ),
    "a refresh token": (
        lambda world: APIClient().post("/api/auth/token/refresh", {"refresh": world.refresh}),
        {"revoked_tokens(jti)", USER},
    ),
    "tokens that have expired": (
        lambda world: forget_expired_tokens(now=NOW),
        {"revoked_tokens(expires_at)"},
    ),
    "deliveries that are due": (
        lambda world: send_due(now=NOW, transports={"email": Silent()}),
        {"deliveries_due", "deliveries(id)", USER},
    ),
    "a delivery that is written once": (
        lambda world: notify(
            user_id=world.user.pk, kind="export_completed", key="export:x", context={}, now=NOW
        ),
        {USER, "deliveries_once"},
    ),
}


SORTED = {"a batch"}
"""Looks at so few rows that PostgreSQL rather sorts them than goes by the order of an index."""


def test_each_look_is_answered_by_its_indexes_without_a_sort(world):
    wrong = {}
    for name, (act, expected) in LOOKS.items():
        plans = plans_of(partial(act, world))
        found = {index for plan in plans for index in plan.indexes}
        choices = [set(each.split(" or ")) for each in expected]
        as_expected = all(found & choice for choice in choices) and found <= set().union(*choices)
        # The switch for an incident is one row at the most.
        sorts = name not in SORTED and any(plan.is_sorted for plan in plans)
        scans = any(set(plan.scanned) - {"pauses"} for plan in plans)
        if sorts or scans or not as_expected:
            wrong[name] = found
            print(f"--- {name}", *(plan.text for plan in plans), sep="\n")
    assert wrong == {}

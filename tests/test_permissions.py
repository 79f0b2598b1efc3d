"""Who may what: every address of the server, and what it answers to whom."""

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import models
from django.test import Client, RequestFactory

from exports.models import Batch, ExportRequest, Pause, Project, Render
from notifications.models import Delivery
from renderhub import health, support
from tests.conftest import NOW
from tests.notifications.test_socket import OURS, Socket, cookie_of
from tests.routes import api_routes, routes

WHO = ("anonymous", "other", "owner", "support", "superuser")

# All things are the owner's. The answer's status, with a "+" where something has changed; "login" is where a
# browser is sent to sign in. What follows a "#" is an action of the admin's.
TABLE = """
                                                                anonymous  other   owner   support  superuser
GET    /                                                        login      200     200     200      200
GET    /exports/{export_id}                                     login      404     200     404      404
GET    /login                                                   200        302     302     302      302
POST   /login                                                   200        302     302     302      302
GET    /logout                                                  405        405     405     405      405
POST   /logout                                                  302        302     302     302      302
GET    /admin/                                                  login      login   login   200      200
GET    /admin/login/                                            200        200     200     302      302
POST   /admin/login/                                            200        200     200     200      200
GET    /admin/logout/                                           302        302     302     405      405
POST   /admin/logout/                                           302        302     302     302      302
GET    /admin/password_change/                                  login      login   login   200      200
GET    /admin/password_change/done/                             login      login   login   200      200
GET    /admin/autocomplete/                                     login      login   login   403      403
GET    /admin/jsi18n/                                           login      login   login   200      200
GET    /admin/r/{content_type_id}/{object_id}/                  login      login   login   404      404
GET    /admin/auth/group/                                       login      login   login   403      200
POST   /admin/auth/group/#delete_selected                       login      login   login   403      200
GET    /admin/auth/group/add/                                   login      login   login   403      200
POST   /admin/auth/group/add/                                   login      login   login   403      200
GET    /admin/auth/group/{object_id}/history/                   login      login   login   403      200
GET    /admin/auth/group/{object_id}/delete/                    login      login   login   403      200
POST   /admin/auth/group/{object_id}/delete/                    login      login   login   403      302+
GET    /admin/auth/group/{object_id}/change/                    login      login   login   403      200
POST   /admin/auth/group/{object_id}/change/                    login      login   login   403      200
GET    /admin/auth/group/{object_id}/                           login      login   login   302      302
GET    /admin/auth/user/{id}/password/                          login      login   login   403      200
POST   /admin/auth/user/{id}/password/                          login      login   login   403      200
GET    /admin/auth/user/                                        login      login   login   403      200
POST   /admin/auth/user/#delete_selected                        login      login   login   403      200
GET    /admin/auth/user/add/                                    login      login   login   403      200
POST   /admin/auth/user/add/                                    login      login   login   403      200
GET    /admin/auth/user/{object_id}/history/                    login      login   login   403      200
GET    /admin/auth/user/{object_id}/delete/                     login      login   login   403      200
POST   /admin/auth/user/{object_id}/delete/                     login      login   login   403      302+
GET    /admin/auth/user/{object_id}/change/                     login      login   login   403      200
POST   /admin/auth/user/{object_id}/change/                     login      login   login   403      200
GET    /admin/auth/user/{object_id}/                            login      login   login   302      302
GET    /admin/exports/batch/                                    login      login   login   200      200
GET    /admin/exports/batch/add/                                login      login   login   403      403
POST   /admin/exports/batch/add/                                login      login   login   403      403
GET    /admin/exports/batch/{object_id}/history/                login      login   login   200      200
GET    /admin/exports/batch/{object_id}/delete/                 login      login   login   403      403
POST   /admin/exports/batch/{object_id}/delete/                 login      login   login   403      403
GET    /admin/exports/batch/{object_id}/change/                 login      login   login   200      200
POST   /admin/exports/batch/{object_id}/change/                 login      login   login   403      302
GET    /admin/exports/batch/{object_id}/                        login      login   login   302      302
GET    /admin/exports/exportrequest/pause                       405        405     405     405      405
POST   /admin/exports/exportrequest/pause                       login      login   login   302+     302+
GET    /admin/exports/exportrequest/resume                      405        405     405     405      405
POST   /admin/exports/exportrequest/resume                      login      login   login   302+     302+
GET    /admin/exports/exportrequest/                            login      login   login   200      200
POST   /admin/exports/exportrequest/#cancel                     login      login   login   302+     302+
POST   /admin/exports/exportrequest/#retry                      login      login   login   302+     302+
GET    /admin/exports/exportrequest/add/                        login      login   login   403      403
POST   /admin/exports/exportrequest/add/                        login      login   login   403      403
GET    /admin/exports/exportrequest/{object_id}/history/        login      login   login   200      200
GET    /admin/exports/exportrequest/{object_id}/delete/         login      login   login   403      403
POST   /admin/exports/exportrequest/{object_id}/delete/         login      login   login   403      403
GET    /admin/exports/exportrequest/{object_id}/change/         login      login   login   200      200
POST   /admin/exports/exportrequest/{object_id}/change/         login      login   login   200      200
GET    /admin/exports/exportrequest/{object_id}/                login      login   login   302      302
GET    /admin/exports/project/                                  login      login   login   200      200
POST   /admin/exports/project/#delete_selected                  login      login   login   200      200
GET    /admin/exports/project/add/                              login      login   login   403      200
POST   /admin/exports/project/add/                              login      login   login   403      200
GET    /admin/exports/project/{object_id}/history/              login      login   login   200      200
GET    /admin/exports/project/{object_id}/delete/               login      login   login   403      200
POST   /admin/exports/project/{object_id}/delete/               login      login   login   403      302+
GET    /admin/exports/project/{object_id}/change/               login      login   login   200      200
POST   /admin/exports/project/{object_id}/change/               login      login   login   403      200
GET    /admin/exports/project/{object_id}/                      login      login   login   302      302
GET    /admin/exports/render/                                   login      login   login   200      200
GET    /admin/exports/render/add/                               login      login   login   403      403
POST   /admin/exports/render/add/                               login      login   login   403      403
GET    /admin/exports/render/{object_id}/history/               login      login   login   200      200
GET    /admin/exports/render/{object_id}/delete/                login      login   login   403      403
POST   /admin/exports/render/{object_id}/delete/                login      login   login   403      403
GET    /admin/exports/render/{object_id}/change/                login      login   login   200      200
POST   /admin/exports/render/{object_id}/change/                login      login   login   403      302
GET    /admin/exports/render/{object_id}/                       login      login   login   302      302
GET    /admin/notifications/delivery/                           login      login   login   200      200
POST   /admin/notifications/delivery/#send_again                login      login   login   302+     302+
GET    /admin/notifications/delivery/add/                       login      login   login   403      403
POST   /admin/notifications/delivery/add/                       login      login   login   403      403
GET    /admin/notifications/delivery/{object_id}/history/       login      login   login   200      200
GET    /admin/notifications/delivery/{object_id}/delete/        login      login   login   403      403
POST   /admin/notifications/delivery/{object_id}/delete/        login      login   login   403      403
GET    /admin/notifications/delivery/{object_id}/change/        login      login   login   200      200
POST   /admin/notifications/delivery/{object_id}/change/        login      login   login   302      302
GET    /admin/notifications/delivery/{object_id}/               login      login   login   302      302
GET    /admin/{app_label}/                                      login      login   login   200      200
GET    /admin/{url}                                             login      login   login   404      404
POST   /api/auth/token                                          401        401     401     401      401
POST   /api/auth/token/refresh                                  401        401     401     401      401
POST   /api/auth/token/blacklist                                401        401     401     401      401
GET    /api/schema                                              200        200     200     200      200
GET    /api/docs                                                200        200     200     200      200
GET    /api-auth/login/                                         200        200     200     200      200
POST   /api-auth/login/                                         200        200     200     200      200
GET    /api-auth/logout/                                        405        405     405     405      405
POST   /api-auth/logout/                                        302        302     302     302      302
GET    /api/projects                                            401        200     200     200      200
POST   /api/projects                                            401        201+    201+    201+     201+
DELETE /api/projects/{project_id}                               401        404     204+    404      404
GET    /api/projects/{project_id}                               401        404     200     404      404
PATCH  /api/projects/{project_id}                               401        404     200+    404      404
POST   /api/exports/projects/{project_id}/export                401        404     202+    404      404
POST   /api/exports/projects/{project_id}/batch                 401        404     202+    404      404
GET    /api/exports/batches/{batch_id}                          401        404     200     404      404
POST   /api/exports/batches/{batch_id}/retry                    401        404     202+    404      404
GET    /api/exports/costs                                       401        200     200     200      200
GET    /api/exports/history                                     401        200     200     200      200
GET    /api/exports/history.csv                                 401        200     200     200      200
GET    /api/exports/webhook                                     405        405     405     405      405
POST   /api/exports/webhook                                     401        401     401     401      401
DELETE /api/exports/{export_id}                                 401        404     204+    404      404
GET    /api/exports/{export_id}/status                          401        404     200     404      404
GET    /api/exports/{export_id}/events                          401        404     200     404      404
POST   /api/exports/{export_id}/cancel                          401        404     200+    404      404
POST   /api/exports/{export_id}/retry                           401        404     202+    404      404
GET    /api/                                                    404        404     404     404      404
GET    /healthz                                                 200        200     200     200      200
GET    /readyz                                                  200        200     200     200      200
"""

# What an export must be for a call to have its effect; it is rendered everywhere else.
STATUS = {
    "POST /api/exports/{export_id}/retry": "failed",
    "POST /api/exports/batches/{batch_id}/retry": "failed",
    "POST /admin/exports/exportrequest/#retry": "failed",
    "DELETE /api/projects/{project_id}": "completed",
}

BODIES: dict[str, dict[str, Any]] = {
    "POST /api/auth/token": {"username": "owner", "password": "wrong"},
    "POST /api/auth/token/refresh": {"refresh": "x"},
    "POST /api/auth/token/blacklist": {"refresh": "x"},
    "POST /api/projects": {"title": "T", "compositionId": "M"},
    "PATCH /api/projects/{project_id}": {"title": "U"},
    "POST /api/exports/projects/{project_id}/batch": {"items": [{}]},
    "POST /admin/exports/exportrequest/pause": {"reason": "bad deploy"},
    **{
        f"POST /admin/{model}/{{object_id}}/delete/": {"post": "yes"}
        for model in (
            "auth/user",
            "auth/group",
            "exports/batch",
            "exports/exportrequest",
            "exports/project",
            "exports/render",
            "notifications/delivery",
        )
    },
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a call, and what it leads to."""

    method: str
    path: str
    action: str
    expected: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method} {self.path}" + (f"#{self.action}" if self.action else "")


def read_table() -> list[Row]:
    rows = []
    for line in TABLE.strip().splitlines()[1:]:
        method, address, *expected = line.split()
        path, _, action = address.partition("#")
        rows.append(Row(method, path, action, tuple(expected)))
    return rows


ROWS = read_table()


class World:
    """Everybody who may want something, and one of each thing, all of them the owner's."""

    def __init__(self) -> None:
        self.users = {name: User.objects.create_user(name) for name in ("other", "owner")}
        self.users["support"] = User.objects.create_user("support", is_staff=True)
        self.users["support"].groups.set(Group.objects.filter(name=support.GROUP))
        self.users["superuser"] = User.objects.create_superuser("superuser")
        self.things: dict[str, models.Model] = {}

    def put(self, row: Row) -> None:
        """Put new things in place of what there was; a user and a group to be changed are among them."""
        for thing in self.things.values():
            type(thing)._default_manager.filter(pk=thing.pk).delete()
        Pause.objects.all().delete()
        if row.path.endswith("/resume"):
            Pause.objects.create(since=NOW, by="ada")
        owner = self.users["owner"]
        project = Project.objects.create(user=owner, title="Merger in May", composition_id="Secret")
        batch = Batch.objects.create(
            user=owner,
            project=project,
            stage="released",
            total=1,
            accepted=1,
            created_at=NOW,
            committed_at=NOW,
        )
        export = ExportRequest.objects.create(
            project=project,
            batch=batch,
            row=1,
            user=owner,
            title=project.title,
            composition_id=project.composition_id,
            codec="h264",
            status=STATUS.get(str(row), "processing"),
            created_at=NOW,
            queued_at=NOW,
            updated_at=NOW,
        )
        self.things = {
            "auth/user": User.objects.create_user("customer"),
            "auth/group": Group.objects.create(name="group"),
            "exports/project": project,
            "exports/batch": batch,
            "exports/exportrequest": export,
            "exports/render": Render.objects.create(
                export=export, attempt=1, render_id="r1", bucket_name="b", created_at=NOW
            ),
            "notifications/delivery": Delivery.objects.create(
                user=owner, kind="export_failed", key="k", channel="email", status="failed", created_at=NOW
            ),
        }

    def state(self) -> list[Any]:
        """Return all that a call could change."""
        kept = [(User, ["username", "password"]), (Group, ["name", "permissions"]), (Pause, ["reason"])]
        ours = [
            (model, [field.name for field in model._meta.fields])
            for model in (Project, Batch, ExportRequest, Render, Delivery)
        ]
        return [
            sorted(map(repr, model._default_manager.values_list(*names))) for model, names in [*kept, *ours]
        ]

    def ask(self, row: Row, who: str) -> Any:
        """Make a call as a page of ours would, and return the answer."""
        client = Client()
        if who != "anonymous":
            client.force_login(self.users[who])
        thing = next(
            (each for name, each in self.things.items() if f"/admin/{name}/" in row.path),
            self.things["exports/project"],
        )
        address = row.path.format(
            project_id=self.things["exports/project"].pk,
            export_id=self.things["exports/exportrequest"].pk,
            batch_id=self.things["exports/batch"].pk,
            object_id=thing.pk,
            id=thing.pk,
            content_type_id=ContentType.objects.get_for_model(Project).pk,
            app_label="exports",
            url="nothing",
        )
        body = BODIES.get(str(row), {})
        if row.action:
            body = {"action": row.action, "_selected_action": [str(thing.pk)]}
        if row.path.startswith("/api/"):
            return client.generic(row.method, address, json.dumps(body), "application/json")
        return getattr(client, row.method.lower())(address, body)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_everybody_is_answered_as_the_table_says(db, sent, outputs, row):
    world = World()
    found, told = [], {}
    before = None
    for who in WHO:
        if before is None:
            world.put(row)
            before = world.state()
        answer = world.ask(row, who)
        to_sign_in = answer.status_code == 302 and "/login" in answer["Location"]
        found.append("login" if to_sign_in else str(answer.status_code))
        if world.state() != before:
            found[-1] += "+"
            before = None
        told[who] = answer.getvalue()
    assert tuple(found) == row.expected
    if not row.path.startswith("/admin/"):
        # Not even in a list, or in the sentence of a refusal.
        strangers = [who for who in WHO if who != "owner" and re.search(b"Merger|Secret", told[who])]
        assert strangers == []


def test_the_table_has_every_address_and_no_other():
    there = {route.path for route in routes()} | set(health._PROBES)
    assert {row.path for row in ROWS} == there


def test_the_table_has_every_method_of_the_api():
    there = {(method, route.path) for route in api_routes() for method in route.methods}
    paths = {path for _, path in there}
    assert {(row.method, row.path) for row in ROWS if row.path in paths} == there


def test_the_table_has_every_action_of_the_admin(db):
    request = RequestFactory().get("/")
    request.user = User.objects.create_superuser("superuser")
    there = {
        (f"/admin/{model._meta.app_label}/{model._meta.model_name}/", action)
        for model, page in admin.site._registry.items()
        for action in page.get_actions(request)
    }
    assert {(row.path, row.action) for row in ROWS if row.action} == there


@pytest.mark.django_db(transaction=True)
async def test_whoever_is_signed_in_may_open_the_socket_and_nobody_else():
    world = await sync_to_async(World)()
    found = {}
    for who in WHO:
        headers = [OURS] if who == "anonymous" else [OURS, await sync_to_async(cookie_of)(world.users[who])]
        socket = Socket(*headers)
        found[who] = (await socket.open())["type"]
        await socket.close()
    assert found == {who: "websocket.close" if who == "anonymous" else "websocket.accept" for who in WHO}


def test_the_support_group_has_no_more_and_no_less_than_its_rights_after_each_migration(db):
    group = Group.objects.get(name=support.GROUP)
    rights = sorted(group.permissions.values_list("codename", flat=True))
    assert rights == [
        "add_pause",
        "change_delivery",
        "change_exportrequest",
        "delete_pause",
        "view_batch",
        "view_delivery",
        "view_exportrequest",
        "view_pause",
        "view_project",
        "view_render",
    ]
    group.permissions.set(Permission.objects.filter(codename__in=["view_render", "delete_user"]))
    call_command("migrate", verbosity=0)
    assert sorted(group.permissions.values_list("codename", flat=True)) == rights

"""The API against its own description: whatever schemathesis sends, valid or not, the answer is described."""

import io
import time
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from django.conf import settings
from django.contrib.auth.models import User
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from rest_framework_simplejwt.tokens import AccessToken
from schemathesis.config import SchemathesisConfig

from exports.models import ExportRequest, Project
from exports.states import Status
from lambda_worker import signing
from renderhub.tokens import RefreshToken
from renderhub.wsgi import application
from tests.conftest import NOW

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

CONFIG = {
    "seed": 1,
    "generation": {"mode": "all", "deterministic": True, "max-examples": 30},
    "checks": {
        # What the schema can't say: a composition that the site has, props that the project's schema takes.
        "positive_data_acceptance": {"enabled": False},
    },
}


def key(number: int) -> UUID:
    return UUID(int=0x01936F5D1A2B7C3D8E4F5A6B7C8D0000 + number)


OURS, THEIRS, NOBODYS = key(1), key(2), key(3)
EXPORTS = {key(16 + place): status for place, status in enumerate(Status)}
THEIR_EXPORT = key(32)
# What stands in paths in place of the UUIDs that schemathesis thinks of.
IDS = {"projectId": [OURS, OURS, OURS, THEIRS, NOBODYS], "exportId": [*EXPORTS, THEIR_EXPORT, NOBODYS]}
SIGN = "sign this"


class World:
    """Somebody with an export in every status, who can be put back to the beginning."""

    def __init__(self) -> None:
        self.user = User.objects.create_user("ada", password="pass-word-1")
        self.other = User.objects.create_user("eve")
        self.put()

    def put(self) -> None:
        ExportRequest.objects.all().delete()
        Project.objects.all().delete()
        for pk, user in ((OURS, self.user), (THEIRS, self.other)):
            Project.objects.create(pk=pk, user=user, title="Report", composition_id="MainComposition")
        ExportRequest.objects.bulk_create(
            [self._export(pk, status, self.user, OURS) for pk, status in EXPORTS.items()]
            + [self._export(THEIR_EXPORT, Status.PROCESSING, self.other, THEIRS)]
        )
        self._beginning = self._state()

    def back(self) -> None:
        """Undo what the last call has done."""
        if self._state() != self._beginning:
            self.put()

    def _state(self) -> list[Any]:
        return [
            sorted(ExportRequest.objects.values_list("pk", "version", "progress")),
            sorted(Project.objects.values_list("pk", "updated_at")),
        ]

    @staticmethod
    def _export(pk: UUID, status: Status, user: User, project_id: UUID) -> ExportRequest:
        is_done = status is Status.COMPLETED
        return ExportRequest(
            pk=pk,
            user=user,
            project_id=project_id,
            title="Report",
            composition_id="MainComposition",
            codec="h264",
            status=status,
            bucket_name="b" if is_done else "",
            output_key="renders/x.mp4" if is_done else "",
            output_at=NOW if is_done else None,
            started_at=None if status is Status.PENDING else NOW,
            created_at=NOW,
            queued_at=NOW,
            updated_at=NOW,
        )


def signed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Sign what the tests send as the worker, and pass everything on."""
    if environ.get("HTTP_X_REMOTION_SIGNATURE") == SIGN:
        body = environ["wsgi.input"].read()
        environ["wsgi.input"] = io.BytesIO(body)
        environ["HTTP_X_REMOTION_SIGNATURE"] = signing.sign(body, secret="new-secret")
    return application(environ, start_response)


@pytest.fixture
def world(db, sent, outputs):
    # Between two requests a connection may be closed, which would end the test's transaction.
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield World()
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def described(request, world):
    """The description as it is committed, with the server that it is about."""
    # schemathesis names each call's subtest by what pytest has called otherwise since 9.2.
    request.node._nodeid = request.node.nodeid
    path = settings.BASE_DIR / "docs/openapi.yaml"
    loaded = schemathesis.openapi.from_path(path, config=SchemathesisConfig.from_dict(CONFIG))
    loaded.app = signed

    @loaded.hook
    def map_path_parameters(context, path_parameters):
        return {name: known_id(name, value) for name, value in (path_parameters or {}).items()}

    @loaded.hook
    def map_body(context, body):
        return real_body(context.operation.definition.raw["operationId"], body)

    return loaded


schema = schemathesis.pytest.from_fixture("described")


def known_id(name: str, value: Any) -> Any:
    try:
        number = UUID(value).int
    except (ValueError, TypeError, AttributeError):
        return value
    return str(IDS[name][number % len(IDS[name])])


def real_body(operation: str, body: Any) -> Any:
    """Put into a body what can't be made up: a password, a token, the time, an export."""
    if not isinstance(body, dict):
        return body
    body = dict(body)
    if isinstance(body.get("refresh"), str) and len(body["refresh"]) % 2:
        body["refresh"] = str(RefreshToken.for_user(User.objects.get(username="ada")))
    if {type(body.get(name)) for name in ("username", "password")} == {str} and len(body["password"]) % 2:
        body |= {"username": "ada", "password": "pass-word-1"}
    if operation == "receiveWebhook":
        if isinstance(body.get("timestamp"), int | float):
            body["timestamp"] = time.time()
        about = body.get("customData") if "customData" in body else body
        if isinstance(about, dict) and isinstance(about.get("exportId"), str):
            about = about | {"exportId": str(list(EXPORTS)[len(about["exportId"]) % len(EXPORTS)])}
            body |= {"customData": about} if "customData" in body else about
    return body


@schema.parametrize()
@hypothesis_settings(deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
def test_every_answer_is_described(case, world):
    world.back()
    if case.operation.definition.raw["operationId"] == "receiveWebhook":
        headers = {"X-Remotion-Signature": SIGN}
    else:
        headers = {"Authorization": f"Bearer {AccessToken.for_user(world.user)}"}
    case.call_and_validate(headers=headers)

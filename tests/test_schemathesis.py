"""The API against its own description: whatever schemathesis sends, valid or not, the answer is described."""

import io
import json
import re
import time
from collections import Counter, defaultdict
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
from schemathesis.specs.openapi.checks import negative_data_rejection

from exports.models import Batch, ExportRequest, Project
from exports.states import Status
from lambda_worker import signing
from renderhub.tokens import RefreshToken
from renderhub.wsgi import application
from tests.conftest import NOW

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

CONFIG = {
    "seed": 1,
    "generation": {"mode": "all", "deterministic": True, "max-examples": 60},
    "checks": {
        # What the schema can't say: a composition that the site has, props that the project's schema takes.
        "positive_data_acceptance": {"enabled": False},
    },
}


def key(number: int) -> UUID:
    return UUID(int=0x01936F5D1A2B7C3D8E4F5A6B7C8D0000 + number)


OURS, IDLE, THEIRS, NOBODYS = (key(number) for number in range(4))
EXPORTS = {key(16 + place): status for place, status in enumerate(Status)}
THEIR_EXPORT = key(32)
BATCH = key(48)
PROCESSING = next(pk for pk, status in EXPORTS.items() if status is Status.PROCESSING)
# What stands in paths in place of the UUIDs that schemathesis thinks of.
IDS = {
    "projects": [OURS, IDLE, OURS, THEIRS, NOBODYS],
    "exports": [*EXPORTS, THEIR_EXPORT, NOBODYS],
    "batches": [BATCH, BATCH, NOBODYS],
}
UUID_AFTER = r"(?<=/)(projects|exports|batches)/([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})(?=/|$)"
SIGN = "sign this"


class World:
    """Somebody with an export in every status, who can be put back to the beginning."""

    def __init__(self) -> None:
        self.answers: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self.user = User.objects.create_user("ada", password="pass-word-1")
        self.other = User.objects.create_user("eve")
        self.put()

    def put(self) -> None:
        ExportRequest.objects.all().delete()
        Project.objects.all().delete()
        for pk, user in ((OURS, self.user), (IDLE, self.user), (THEIRS, self.other)):
            Project.objects.create(pk=pk, user=user, title="Report", composition_id="MainComposition")
        Batch.objects.all().delete()
        Batch.objects.create(
            pk=BATCH,
            user=self.user,
            project_id=OURS,
            stage=Batch.Stage.RELEASED,
            total=5,
            accepted=5,
            created_at=NOW,
            committed_at=NOW,
        )
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
            Batch.objects.count(),
            sorted(Project.objects.values_list("pk", "updated_at")),
        ]

    @staticmethod
    def _export(pk: UUID, status: Status, user: User, project_id: UUID) -> ExportRequest:
        is_done = status is Status.COMPLETED
        return ExportRequest(
            pk=pk,
            user=user,
            project_id=project_id,
            batch_id=BATCH if project_id == OURS else None,
            row=pk.int % 16 if project_id == OURS else None,
            title="Report",
            composition_id="MainComposition",
            codec="h264",
            status=status,
            bucket_name="b" if is_done else "",
            output_key="renders/x.mp4" if is_done else "",
            output_at=NOW if is_done else None,
            started_at=None if status in (Status.STAGED, Status.PENDING) else NOW,
            created_at=NOW,
            queued_at=NOW,
            updated_at=NOW,
        )


def front(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Put into a request what schemathesis can't make up: ids of what is there, tokens, a signature."""
    environ["PATH_INFO"] = re.sub(UUID_AFTER, known_id, environ["PATH_INFO"])
    body = environ["wsgi.input"].read()
    try:
        data = json.loads(body)
    except ValueError:
        data = None
    if isinstance(data, dict):
        body = json.dumps(real(environ["PATH_INFO"], data)).encode()
    environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    if environ.get("HTTP_X_REMOTION_SIGNATURE") == SIGN:
        environ["HTTP_X_REMOTION_SIGNATURE"] = signing.sign(body, secret="new-secret")
    return application(environ, start_response)


def known_id(match: re.Match[str]) -> str:
    number = UUID(match[2]).int
    ids = IDS[match[1]]
    return f"{match[1]}/{ids[number % len(ids)]}"


def real(path: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return a body in which what would be valid is also right, for about half of those that there are."""
    is_odd = len(json.dumps(data)) % 2
    match path.rpartition("/")[2]:
        case "token" if is_odd and set(data) == {"username", "password"} and all(map(is_text, data.values())):
            return {"username": "ada", "password": "pass-word-1"}
        case "refresh" | "blacklist" if is_odd and is_text(data.get("refresh")):
            return data | {"refresh": str(RefreshToken.for_user(User.objects.get(username="ada")))}
        case "webhook":
            if type(data.get("timestamp")) in (int, float):
                data = data | {"timestamp": time.time()}
            if is_text(data.get("exportId")):
                data = data | {"exportId": str(list(EXPORTS)[len(str(data)) % len(EXPORTS)])}
            custom = data.get("customData")
            if isinstance(custom, dict) and is_text(custom.get("exportId")):
                data = data | {"customData": custom | {"exportId": str(PROCESSING)}}
    return data


def is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


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
    loaded.app = front
    yield loaded
    # What always fails would prove little.
    for call, statuses in world.answers.items():
        assert any(status < 400 for status in statuses), call


schema = schemathesis.pytest.from_fixture("described")


@schema.parametrize()
@hypothesis_settings(deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
def test_every_answer_is_described(case, world):
    world.back()
    if case.operation.label == "POST /api/exports/webhook":
        headers = {"X-Remotion-Signature": SIGN}
        # Types that this version doesn't know are ignored, not refused.
        excluded = [negative_data_rejection]
    else:
        headers = {"Authorization": f"Bearer {AccessToken.for_user(world.user)}"}
        excluded = []
    answer = case.call_and_validate(headers=headers, excluded_checks=excluded)
    if case.method == case.operation.method.upper():
        world.answers[case.operation.label][answer.status_code] += 1

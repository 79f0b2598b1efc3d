import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache, caches
from django.core.management.commands import flush
from django.core.management.sql import emit_post_migrate_signal
from django.db.models import Model
from django.test import Client
from rest_framework.test import APIClient

from exports import compositions, queue, storage
from exports.dead_letters import DeadLetter, DeadLettersError
from exports.models import ExportRequest, Project
from lambda_worker import contract, signing
from lambda_worker.contract import Message, Webhook

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SCHEMA = {
    "type": "object",
    "properties": {"title": {"type": "string", "maxLength": 20}},
    "additionalProperties": False,
}


class FakeQueue:
    """Takes every message, or none while ``down``."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.down = False

    def send(self, messages: Sequence[Message]) -> list[str | None]:
        if self.down:
            return [None] * len(messages)
        self.messages += messages
        return [str(uuid.uuid4()) for _ in messages]


class FakeDeadLetters:
    """Holds letters until they are deleted or redriven, hides the received; out of reach while ``down``."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []
        self.hidden: set[str] = set()
        self.redriven: list[str] = []
        self.down = False

    def add(self, body: str, *, reason: str = "") -> DeadLetter:
        try:
            message, why = contract.parse_message(body), reason
        except contract.ContractError as error:
            message, why = None, reason or str(error)
        letter = DeadLetter(
            id=f"m{len(self.letters)}",
            receipt="",
            body=body,
            message=message,
            reason=why,
            receive_count=1,
            sent_at=NOW,
        )
        self.letters.append(letter)
        return letter

    @property
    def waiting(self) -> list[str]:
        """The ids of those that somebody else could receive now."""
        return [letter.id for letter in self.letters if letter.id not in self.hidden]

    def receive(self, *, limit: int, wait_s: int = 0) -> Iterator[DeadLetter]:
        self._check()
        for _ in range(limit):
            letter = next((each for each in self.letters if each.id not in self.hidden), None)
            if letter is None:
                return
            self.hidden.add(letter.id)
            yield letter

    def delete(self, letters: Sequence[DeadLetter]) -> None:
        self._check()
        self.letters = [letter for letter in self.letters if letter not in letters]

    def release(self, letters: Sequence[DeadLetter]) -> None:
        self._check()
        self.hidden -= {letter.id for letter in letters}

    def redrive(self, letters: Sequence[DeadLetter]) -> None:
        self._check()
        self.redriven += [letter.body for letter in letters]
        self.delete(letters)

    def _check(self) -> None:
        if self.down:
            raise DeadLettersError("SQS can't be reached.")


@pytest.fixture(scope="session", autouse=True)
def quick_flush() -> Iterator[None]:
    """Makes what ``post_migrate`` makes after a flush once, and then inserts the same rows again.

    Content types, permissions and the group of support are some hundred queries; a flush ends each test that
    can't be rolled back, which on MongoDB is every one.
    """
    models: tuple[type[Model], ...] = (ContentType, Permission, Group, Group.permissions.through)
    made: list[list[Model]] = []

    def emit(verbosity: int, interactive: bool, database: str) -> None:
        if made:
            for model, rows in zip(models, made, strict=True):
                model._default_manager.using(database).bulk_create(rows)
        else:
            emit_post_migrate_signal(verbosity, interactive, database)
            made.extend(list(model._default_manager.using(database).all()) for model in models)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "emit_post_migrate_signal", emit)
        yield


@pytest.fixture
def dead_letters() -> FakeDeadLetters:
    return FakeDeadLetters()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> FakeQueue:
    """The queue that the views use."""
    fake = FakeQueue()
    monkeypatch.setattr(queue, "get_queue", lambda: fake)
    return fake


@pytest.fixture(autouse=True)
def sites(monkeypatch: pytest.MonkeyPatch) -> dict[str, frozenset[str]]:
    """What the bundled sites say they have: ids of compositions by address; empty, they say nothing."""
    found: dict[str, frozenset[str]] = {}
    monkeypatch.setattr(compositions, "read_compositions", found.get)
    cache.clear()
    return found


@pytest.fixture(autouse=True)
def uncounted() -> None:
    """Lets every test begin with nothing counted."""
    caches["limits"].clear()


@pytest.fixture
def one_slot(settings: Any) -> None:
    """Lets one export render at once; a test asks for it before it asks for an export."""
    settings.RENDER_MAX_CONCURRENCY = 1


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What lies in the bucket: sizes in bytes by key."""
    files: dict[str, int] = {}
    for module in ("exports.services.reports", "exports.services.repairs"):
        monkeypatch.setattr(f"{module}.find_output", files.get)
    assert storage.find_output is not files.get
    return files


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create_user("ada", password="pass-word-1")


@pytest.fixture
def project(user: User) -> Project:
    return Project.objects.create(
        user=user,
        title="Report",
        composition_id="MainComposition",
        input_props={"title": "Hello"},
        props_schema=SCHEMA,
    )


@pytest.fixture
def api(user: User) -> APIClient:
    client = APIClient()
    token = client.post(
        "/api/auth/token", {"username": "ada", "password": "pass-word-1"}, format="json"
    ).json()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token['access']}")
    return client


@pytest.fixture
def export(project: Project, api: APIClient, sent: FakeQueue, outputs: dict[str, int]) -> ExportRequest:
    answer = api.post(f"/api/exports/projects/{project.pk}/export", {}, format="json")
    assert answer.status_code == 202, answer.content
    return ExportRequest.objects.get(pk=answer.json()["exportId"])


@pytest.fixture
def report(client: Client) -> Callable[[Webhook], Any]:
    """Sends a webhook as the worker does, and returns the answer."""

    def send(webhook: Webhook) -> Any:
        body = contract.dump_webhook(webhook, id=str(uuid.uuid4()), timestamp=time.time())
        return post_webhook(client, body, signing.sign(body, secret="new-secret"))

    return send


def post_webhook(client: Client, body: bytes, signature: str | None) -> Any:
    headers = {} if signature is None else {"X-Remotion-Signature": signature}
    return client.post("/api/exports/webhook", body, content_type="application/json", headers=headers)


def remotion_body(export: ExportRequest, kind: str = "success", **more: Any) -> bytes:
    data = {"exportId": str(export.pk), "attempt": export.attempt}
    return json.dumps(
        {"type": kind, "renderId": "r1", "bucketName": "b", "customData": data, **more}
    ).encode()

"""The socket, as a client meets it: the whole ASGI application, without a network."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from channels.layers import BaseChannelLayer, channel_layers, get_channel_layer
from django.contrib.auth.models import User
from django.test import Client
from rest_framework_simplejwt.tokens import AccessToken

from exports import services
from exports.models import Project
from lambda_worker.contract import RenderProgress, RenderStarted, RenderSuccess
from notifications.transports import websocket
from renderhub.asgi import application
from tests.conftest import NOW, FakeQueue

pytestmark = pytest.mark.django_db(transaction=True)

OURS = (b"origin", b"http://localhost:8000")
HOST = (b"host", b"localhost:8000")


class Socket:
    """One connection. Channels' own double of this needs Daphne."""

    def __init__(self, *headers: tuple[bytes, bytes], protocols: Sequence[str] = ()) -> None:
        self._server = ApplicationCommunicator(
            application,
            {
                "type": "websocket",
                "path": "/ws/exports",
                "query_string": b"",
                "headers": [*headers, *(() if b"host" in dict(headers) else (HOST,))],
                "subprotocols": list(protocols),
            },
        )

    async def open(self) -> dict[str, Any]:
        """Shake hands, and return the server's answer."""
        await self._server.send_input({"type": "websocket.connect"})
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = await self._server.receive_output(timeout=5)
        return answer

    async def message(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads((await self.answer())["text"])
        return message

    async def is_silent(self) -> bool:
        return bool(await self._server.receive_nothing())

    async def say(self, text: str) -> None:
        await self._server.send_input({"type": "websocket.receive", "text": text})

    async def close(self) -> None:
        await self._server.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._server.wait()


async def refused(*headers: tuple[bytes, bytes], protocols: Sequence[str] = ()) -> bool:
    # A close before any accept: the server answers it by 403.
    answer = await Socket(*headers, protocols=protocols).open()
    return bool(answer["type"] == "websocket.close")


def cookie_of(user: User) -> tuple[bytes, bytes]:
    client = Client()
    client.force_login(user)
    return (b"cookie", f"sessionid={client.cookies['sessionid'].value}".encode())


def bearer(token: object) -> list[str]:
    return ["renderhub.v1", f"bearer.{token}"]


@asynccontextmanager
async def opened(user: User) -> AsyncIterator[Socket]:
    socket = Socket(protocols=bearer(AccessToken.for_user(user)))
    assert (await socket.open())["type"] == "websocket.accept"
    try:
        yield socket
    finally:
        await socket.close()


async def test_a_program_comes_in_with_a_token(user):
    socket = Socket(protocols=bearer(AccessToken.for_user(user)))
    assert (await socket.open())["subprotocol"] == "renderhub.v1"
    await socket.close()


async def test_a_page_comes_in_with_its_session(user):
    socket = Socket(await sync_to_async(cookie_of)(user), OURS)
    assert (await socket.open())["type"] == "websocket.accept"
    await socket.close()


@pytest.mark.parametrize(
    "headers",
    [
        [(b"origin", b"https://evil.example")],
        [(b"origin", b"http://localhost:3000")],
        [(b"origin", b"null")],
        [(b"origin", b"http://[")],
        [(b"host", b"evil.example"), (b"origin", b"http://evil.example")],
        [],
    ],
    ids=["foreign", "other port", "opaque", "malformed", "name made to lead here", "none"],
)
async def test_a_session_is_refused_to_any_page_but_ours(user, headers):
    assert await refused(await sync_to_async(cookie_of)(user), *headers)


async def test_a_token_is_refused_to_a_foreign_page(user):
    token = AccessToken.for_user(user)
    assert await refused((b"origin", b"https://evil.example"), protocols=bearer(token))


async def test_a_trusted_origin_may_bring_a_token(user, settings):
    settings.CSRF_TRUSTED_ORIGINS = ["https://app.example.com"]
    token = AccessToken.for_user(user)
    assert not await refused((b"origin", b"https://app.example.com"), protocols=bearer(token))


def altered(user: User) -> str:
    return str(AccessToken.for_user(user))[:-2] + "xx"


def expired(user: User) -> str:
    token = AccessToken.for_user(user)
    token.set_exp(lifetime=-timedelta(seconds=1))
    return str(token)


def of_a_deleted_user(user: User) -> str:
    token = str(AccessToken.for_user(user))
    user.delete()
    return token


def of_an_inactive_user(user: User) -> str:
    user.is_active = False
    user.save()
    return str(AccessToken.for_user(user))


@pytest.mark.parametrize("token", [altered, expired, of_a_deleted_user, of_an_inactive_user])
async def test_a_bad_token_is_refused(user, token):
    assert await refused(OURS, protocols=bearer(await sync_to_async(token)(user)))


async def test_a_bad_token_is_no_better_for_a_good_session(user):
    assert await refused(await sync_to_async(cookie_of)(user), OURS, protocols=bearer("nonsense"))


async def test_a_stranger_is_refused(db):
    assert await refused(OURS)


async def test_a_client_that_talks_is_hung_up_on(user):
    async with opened(user) as socket:
        await socket.say("hello")
        answer = await socket.answer()
    assert (answer["type"], answer["code"]) == ("websocket.close", 1003)


async def test_a_socket_ends_when_its_token_does(user):
    token = AccessToken.for_user(user)
    token.set_exp(lifetime=timedelta(seconds=1))
    socket = Socket(protocols=bearer(token))
    await socket.open()
    answer = await socket.answer()
    assert (answer["type"], answer["code"]) == ("websocket.close", 4401)
    await socket.close()


def moves(project: Project, queue: FakeQueue) -> dict[str, Callable[[], Any]]:
    """Return the steps of an export's life, in order, by the name of what each shows."""
    export = services.create_export(
        project=project,
        composition_id="MainComposition",
        serve_url="https://example.com/index.html",
        codec="h264",
        input_props={},
        queue=queue,
        now=NOW,
    )
    about: dict[str, Any] = {"export_id": str(export.pk), "attempt": 1}
    render: dict[str, Any] = {**about, "render_id": "r1", "bucket_name": "b"}
    claim = RenderStarted(**about, token="t", version=1)
    first = RenderProgress(**render, token="t", progress=0.0)
    later = RenderProgress(**render, token=None, progress=0.5)
    end = RenderSuccess(**render, output_size_bytes=10)
    return {
        "claimed": lambda: services.claim_render(report=claim, now=NOW),
        "started": lambda: services.accept_render(report=first, now=NOW),
        "half": lambda: services.record_progress(report=later, now=NOW),
        "half again": lambda: services.record_progress(report=later, now=NOW),
        "completed": lambda: services.complete_export(report=end, queue=queue, now=NOW),
    }


async def test_every_move_is_pushed_to_its_owner_as_the_status_shows_it(user, project, sent, api):
    async with opened(user) as socket:
        for step in (await sync_to_async(moves)(project, sent)).values():
            await sync_to_async(step)()
        seen = [await socket.message() for _ in range(5)]
        assert await socket.is_silent()
    assert {message["type"] for message in seen} == {"export.updated"}
    shown = [(m["export"]["status"], m["export"]["progress"], m["export"]["version"]) for m in seen]
    assert shown == [
        ("pending", 0, 1),
        ("processing", 0, 2),
        ("processing", 0, 3),
        ("processing", 0.5, 3),
        ("completed", 1, 4),
    ]
    read = await sync_to_async(api.get)(f"/api/exports/{seen[-1]['export']['exportId']}/status")
    volatile = {"outputUrl", "outputExpiresAt"}
    assert {k: v for k, v in seen[-1]["export"].items() if k not in volatile} == {
        k: v for k, v in read.json().items() if k not in volatile
    }


async def test_nobody_else_hears_of_it(project, sent):
    other = await sync_to_async(User.objects.create_user)("eve")
    async with opened(other) as socket:
        await sync_to_async(moves)(project, sent)
        assert await socket.is_silent()


def test_a_layer_that_is_down_fails_no_move(project, sent, monkeypatch):
    async def refuse(*arguments: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(get_channel_layer(), "group_send", refuse)
    for step in moves(project, sent).values():
        step()
    assert project.exports.get().status == "completed"


def test_what_cant_be_shown_has_happened_all_the_same(project, sent, monkeypatch):
    def refuse(*arguments: object, **more: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("exports.services.live.status_of", refuse)
    for step in moves(project, sent).values():
        step()
    assert project.exports.get().status == "completed"


async def test_a_message_to_nobody_goes_nowhere(db):
    await sync_to_async(websocket.push)(user_id=0, message={})


class Stuck(BaseChannelLayer):  # type: ignore[misc]  # channels has no types
    """A layer that takes its time: until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.taken: list[int] = []

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        while not self.go_on.is_set():
            await asyncio.sleep(0.01)
        self.taken.append(json.loads(message["text"])["number"])


def test_a_layer_that_is_stuck_keeps_no_request_waiting_and_no_more_than_so_many_messages(monkeypatch):
    monkeypatch.setattr(websocket, "_SEND_S", 60.0)
    stuck = Stuck()
    before = channel_layers.set("default", stuck)
    try:
        for number in range(3000):
            websocket.push(user_id=1, message={"number": number})
        stuck.go_on.set()
        websocket._line._thread.submit(lambda: None).result(timeout=20)
    finally:
        channel_layers.set("default", before)
    # The one that was being sent, and those that waited.
    assert stuck.taken == sorted(stuck.taken)
    assert len(stuck.taken) in (1000, 1001)

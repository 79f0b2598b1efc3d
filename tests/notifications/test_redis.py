"""In production the API pushes from one process to sockets in another, with Redis between them."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from channels.layers import channel_layers
from channels_redis.core import RedisChannelLayer  # type: ignore[import-untyped]

from localcloud import ports
from notifications.transports import websocket

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("redis-server is missing: apt-get install redis-server")
    folder: Path = tmp_path_factory.mktemp("redis")
    port = ports.choose_port(0)
    command = [server, "--port", str(port), "--bind", ports.HOST, "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            assert ports.wait_until_listening(port, timeout_s=20)
            yield f"redis://{ports.HOST}:{port}/0"
        finally:
            process.terminate()


@pytest.fixture
def redis_layer(redis_url: str) -> Iterator[None]:
    before = channel_layers.set("default", RedisChannelLayer(hosts=[redis_url]))
    yield
    channel_layers.set("default", before)


@pytest.fixture
async def sockets(redis_url: str) -> AsyncIterator[RedisChannelLayer]:
    """The layer as the sockets' process has it."""
    layer = RedisChannelLayer(hosts=[redis_url])
    await layer.flush()
    yield layer
    await layer.close_pools()


@pytest.fixture
async def arrivals(sockets: RedisChannelLayer) -> Callable[[int], Awaitable[list[Any]]]:
    """Gives the next messages to the user 1."""
    channel = await sockets.new_channel()
    await sockets.group_add(websocket.group_of(1), channel)

    async def arrive(count: int) -> list[Any]:
        async with asyncio.timeout(20):
            return [json.loads((await sockets.receive(channel))["text"]) for _ in range(count)]

    return arrive


def push_all(messages: Iterable[object]) -> None:
    for message in messages:
        websocket.push(user_id=1, message={"number": message})


async def from_a_thread(messages: Iterable[object]) -> None:
    """Push from a thread that Django's ASGI handler knows nothing of, as a WSGI server's are."""
    await asyncio.get_running_loop().run_in_executor(None, push_all, messages)


async def test_what_a_process_without_an_event_loop_pushes_arrives_in_order(redis_layer, arrivals):
    await from_a_thread(range(50))
    assert [message["number"] for message in await arrivals(50)] == list(range(50))


async def test_what_several_threads_push_arrives_in_the_order_of_each(redis_layer, arrivals):
    await asyncio.gather(*(from_a_thread([(thread, n) for n in range(20)]) for thread in range(4)))
    arrived = [message["number"] for message in await arrivals(80)]
    for thread in range(4):
        assert [n for its, n in arrived if its == thread] == list(range(20))


async def test_a_process_pushes_through_one_connection(redis_layer, sockets, arrivals):
    connection = sockets.connection(0)
    await from_a_thread(range(1))
    await arrivals(1)
    before = len(await connection.client_list())
    await from_a_thread(range(50))
    await arrivals(50)
    assert len(await connection.client_list()) == before


_PARENT_AND_CHILD = """
import multiprocessing, sys
import django
django.setup()
from notifications.transports import websocket

def push(name):
    for number in range(20):
        websocket.push(user_id=1, message={"from": name, "number": number})

push("parent")
child = multiprocessing.get_context("fork").Process(target=push, args=["child"])
child.start()
child.join()
sys.exit(child.exitcode)
"""


async def test_a_forked_process_pushes_by_itself_and_what_waits_is_sent_before_the_end(redis_url, arrivals):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-c", _PARENT_AND_CHILD),
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "renderhub.settings", "REDIS_URL": redis_url},
        stderr=asyncio.subprocess.PIPE,
    )
    arrived = await arrivals(40)
    _, said = await process.communicate()
    assert (process.returncode, b"Traceback" in said) == (0, False), said
    for name in ("parent", "child"):
        assert [each["number"] for each in arrived if each["from"] == name] == list(range(20))


async def test_after_a_redis_that_is_gone_pushes_arrive_again(redis_layer, arrivals, caplog, monkeypatch):
    monkeypatch.setattr(websocket, "_PAUSE_S", 0.0)
    there = channel_layers.set("default", RedisChannelLayer(hosts=["redis://127.0.0.1:1/0"]))
    await from_a_thread(["lost"])
    await from_a_thread(["lost too"])
    # The line has come to them once it has come to the last.
    await asyncio.wrap_future(websocket._line._thread.submit(lambda: None))
    assert "websocket.unreachable" in caplog.text
    channel_layers.set("default", there)
    await from_a_thread(["found"])
    assert [message["number"] for message in await arrivals(1)] == ["found"]

"""In production the API pushes from one process to sockets in another, with Redis between them."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from channels.layers import channel_layers, get_channel_layer
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


def push_from_threads_of_their_own(count: int) -> None:
    for number in range(count):
        websocket.push(user_id=1, message={"number": number})


async def test_what_a_process_without_an_event_loop_pushes_arrives_in_order(redis_layer):
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add(websocket.group_of(1), channel)
    # A thread that Django's ASGI handler knows nothing of, as a WSGI server's are.
    await asyncio.get_running_loop().run_in_executor(None, push_from_threads_of_their_own, 50)
    async with asyncio.timeout(10):
        arrived = [json.loads((await layer.receive(channel))["text"])["number"] for _ in range(50)]
    assert arrived == list(range(50))
    await layer.close_pools()


async def test_pushing_leaves_no_connection_open(redis_layer):
    layer = get_channel_layer()
    connection = layer.connection(0)
    before = len(await connection.client_list())
    await asyncio.get_running_loop().run_in_executor(None, push_from_threads_of_their_own, 50)
    assert len(await connection.client_list()) <= before + 1
    await layer.close_pools()


async def test_a_redis_that_is_gone_fails_no_push():
    before = channel_layers.set("default", RedisChannelLayer(hosts=["redis://127.0.0.1:1/0"]))
    try:
        await sync_to_async(websocket.push)(user_id=1, message={})
    finally:
        channel_layers.set("default", before)

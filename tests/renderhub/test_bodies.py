import re
from typing import Any

import pytest

from renderhub.bodies import limit_bodies


async def echo(scope, receive, send):
    size = 0
    while True:
        event = await receive()
        size += len(event.get("body", b""))
        if not event.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


async def call(parts, headers=(), path="/api/other"):
    events = [
        {"type": "http.request", "body": part, "more_body": i < len(parts) - 1}
        for i, part in enumerate(parts)
    ]
    sent: list[dict[str, Any]] = []
    read: list[dict[str, Any]] = []

    async def receive():
        read.append(events[len(read)])
        return read[-1]

    async def send(event):
        sent.append(event)

    application = limit_bodies(echo, max_bytes=10, larger={re.compile("/api/(large|huge)"): 20})
    await application({"type": "http", "path": path, "headers": headers}, receive, send)
    return sent[0]["status"], sent[1]["body"], len(read)


async def test_a_body_within_the_limit_passes():
    assert await call([b"12345", b"12345"]) == (200, b"10", 2)


async def test_a_chunked_body_is_refused_while_it_is_read():
    status, body, read = await call([b"12345", b"123456", b"x"])
    assert (status, read) == (413, 2)
    assert b"body-too-large" in body


async def test_a_declared_size_is_refused_before_anything_is_read():
    status, _, read = await call([b"x"], headers=[(b"content-length", b"11")])
    assert (status, read) == (413, 0)


@pytest.mark.parametrize("length", [b"10", b"nonsense"])
async def test_a_declared_size_within_the_limit_or_unreadable_is_left_to_the_count(length):
    assert (await call([b"x"], headers=[(b"content-length", length)]))[0] == 200


async def test_a_path_can_have_a_larger_limit_of_its_own():
    assert await call([b"x" * 20], path="/api/large") == (200, b"20", 1)
    status, body, _ = await call([b"x" * 21], path="/api/large")
    assert (status, b"20 bytes" in body) == (413, True)
    assert (await call([b"x" * 11], path="/api/larger"))[0] == 413


async def test_what_is_no_http_passes_untouched():
    seen = []

    async def application(scope, receive, send):
        seen.append(scope["type"])

    async def unused(*event):
        raise AssertionError

    await limit_bodies(application, max_bytes=1)({"type": "lifespan"}, unused, unused)
    assert seen == ["lifespan"]

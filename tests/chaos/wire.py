"""HTTP/1.1, as much of it as the run needs: whole requests in, whole answers out, or a broken connection."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

HOST: Final = "127.0.0.1"

_MAX_HEAD_BYTES: Final = 65_536
_HOP_BY_HOP: Final = frozenset({"connection", "keep-alive", "content-length", "transfer-encoding", "expect"})


class UnreachableError(Exception):
    """No connection was made: nobody has seen the request."""


class UnansweredError(Exception):
    """The request was sent, and no whole answer came back."""


class DroppedError(Exception):
    """Raised by a handler whose client is to see its connection break."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request, and the port that its client has sent it from."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    client_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Handler = Callable[[Request], Awaitable[Response]]


async def serve(handler: Handler) -> tuple[asyncio.Server, int]:
    """Return a server that hands each request to ``handler``, and the port that it listens at."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client_port = writer.get_extra_info("peername")[1]
        # Cancelled at the end of the run; the streams of Python 3.11 would complain of it.
        broken = (OSError, asyncio.IncompleteReadError, asyncio.CancelledError, DroppedError)
        with contextlib.suppress(*broken):
            while True:
                first, headers = await _read_head(reader)
                if headers.get("expect") == "100-continue":
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = await _read_body(reader, headers)
                method, path, _ = first.split(" ", 2)
                response = await handler(
                    Request(method=method, path=path, headers=headers, body=body, client_port=client_port)
                )
                writer.write(_head(f"HTTP/1.1 {response.status} -", response.headers, response.body))
                writer.write(response.body)
                await writer.drain()
                if headers.get("connection") == "close":
                    break
        writer.close()

    server = await asyncio.start_server(connected, HOST, 0, limit=_MAX_HEAD_BYTES, backlog=512)
    return server, server.sockets[0].getsockname()[1]


async def fetch(
    port: int,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout_s: float = 30.0,
) -> Response:
    """Send one request over a connection of its own and return the answer.

    Raises:
        UnreachableError: no connection was made.
        UnansweredError: no whole answer came back in time.
    """
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(HOST, port, limit=_MAX_HEAD_BYTES)
    except (OSError, TimeoutError) as error:
        raise UnreachableError(str(error)) from error
    try:
        async with asyncio.timeout(timeout_s):
            sent = {"host": f"{HOST}:{port}", **(headers or {}), "connection": "close"}
            writer.write(_head(f"{method} {path} HTTP/1.1", sent, body) + body)
            await writer.drain()
            first, answered = await _read_head(reader)
            status = int(first.split(" ", 2)[1])
            whole = b"" if method == "HEAD" else await _read_body(reader, answered)
            return Response(status=status, headers=answered, body=whole)
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise UnansweredError(str(error)) from error
    finally:
        writer.close()


async def forward(request: Request, port: int) -> Response:
    """Send a request on as it is, and return the answer."""
    headers = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
    return await fetch(port, request.method, request.path, headers=headers, body=request.body)


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines[1:] if line)
    return lines[0], {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        parts = []
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            parts.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return b"".join(parts)
    return await reader.readexactly(int(headers.get("content-length", "0")))


def _head(first: str, headers: Mapping[str, str], body: bytes) -> bytes:
    kept = {name: value for name, value in headers.items() if name not in _HOP_BY_HOP - {"connection"}}
    lines = [f"{name}: {value}" for name, value in {**kept, "content-length": str(len(body))}.items()]
    return "\r\n".join([first, *lines, "", ""]).encode("latin-1")

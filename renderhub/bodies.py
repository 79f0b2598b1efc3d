"""What a request's body must be, before Django or Django REST framework sees it."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from renderhub.problems import CONTENT_TYPE, problem, problem_response, too_large

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def require_length(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Refuse bodies of undeclared length: Django REST framework takes them for empty, whatever they say."""

    def checked(request: HttpRequest) -> HttpResponseBase:
        if "Transfer-Encoding" in request.headers and "Content-Length" not in request.headers:
            detail = "Send the body with its Content-Length, not in chunks."
            return problem_response(HTTPStatus.LENGTH_REQUIRED, "length-required", detail)
        return get_response(request)

    return checked


class _TooLargeError(Exception):
    pass


def limit_bodies(
    application: Application, *, max_bytes: int, larger: Mapping[re.Pattern[str], int] | None = None
) -> Application:
    """Wrap an ASGI application so that a larger body is answered with 413 and read no further.

    Args:
        application: what is wrapped.
        max_bytes: what a body may hold.
        larger: what it may hold at some paths.
    """

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await application(scope, receive, send)
            return
        read = 0
        limits = (each for path, each in (larger or {}).items() if path.fullmatch(scope["path"]))
        limit = next(limits, max_bytes)

        async def counted() -> Mapping[str, Any]:
            nonlocal read
            event = await receive()
            if event["type"] == "http.request":
                read += len(event.get("body", b""))
                if read > limit:
                    raise _TooLargeError
            return event

        declared = dict(scope["headers"]).get(b"content-length", b"0")
        try:
            if declared.isdigit() and int(declared) > limit:
                raise _TooLargeError
            await application(scope, counted, send)
        except _TooLargeError:
            await _refuse(send, limit)

    return limited


async def _refuse(send: Send, max_bytes: int) -> None:
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    body = json.dumps(problem(status, *too_large(max_bytes))).encode()
    headers = [(b"content-type", CONTENT_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    # What is left of the body stays unread, so the connection can't be used again.
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status.value, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})

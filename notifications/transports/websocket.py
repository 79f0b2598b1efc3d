"""Messages to the browsers and programs of a user that are connected right now."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import structlog
from asgiref.sync import async_to_sync
from channels.layers import InMemoryChannelLayer, get_channel_layer

log = structlog.get_logger(__name__)

_SEND_S: Final = 2.0
_PAUSE_S: Final = 1.0
_MAX_WAITING: Final = 1000


def group_of(user_id: object) -> str:
    """Return the name of the group that a user's sockets are in."""
    return f"user.{user_id}"


def push(*, user_id: object, message: Mapping[str, Any]) -> None:
    """Send ``message``, which must be JSON-ready, to every open socket of a user.

    It promises nothing: the layer may lose it, and whoever needs to be sure reads again. So a layer that
    can't be reached is logged and fails nothing. Over Redis it waits for nothing either.
    """
    # Encoded here, once, and not once for each socket.
    event = {"type": "push", "text": json.dumps(message, separators=(",", ":"))}
    if isinstance(get_channel_layer(), InMemoryChannelLayer):
        # It reaches no other event loop than the server's own, to which asgiref leads.
        try:
            async_to_sync(_send)(group_of(user_id), event)
        except Exception:
            log.exception("websocket.unreachable")
    else:
        _line.send(group_of(user_id), event)


class _Line:
    """Sends one message after the other, from one thread with one event loop and one connection.

    Where the layer can't be reached, or is slow, what comes is dropped for a moment, and what waits with it:
    it would be old news afterwards. At the end of the process what waits is still sent.
    """

    def __init__(self) -> None:
        # Its thread starts with the first message, and the interpreter waits for it at the end.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="websocket-push")
        self._places = threading.BoundedSemaphore(_MAX_WAITING)
        self._loop = asyncio.Runner()
        self._again_at = 0.0
        self._dropped = 0

    def send(self, group: str, event: Mapping[str, Any]) -> None:
        """Send a message soon, after those that are waiting."""
        if not self._places.acquire(blocking=False):
            self._dropped += 1
            return
        try:
            self._thread.submit(self._send_next, group, event)
        except RuntimeError:
            # The process ends.
            self._places.release()

    def _send_next(self, group: str, event: Mapping[str, Any]) -> None:
        self._places.release()
        if time.monotonic() < self._again_at:
            self._dropped += 1
            return
        try:
            self._loop.run(_send_in_time(group, event))
        except Exception:
            self._again_at = time.monotonic() + _PAUSE_S
            log.exception("websocket.unreachable", dropped_before=self._dropped)
            self._dropped = 0


async def _send(group: str, event: Mapping[str, Any]) -> None:
    await get_channel_layer().group_send(group, event)


async def _send_in_time(group: str, event: Mapping[str, Any]) -> None:
    async with asyncio.timeout(_SEND_S):
        await _send(group, event)


_line = _Line()


def _begin_anew() -> None:
    """Leave the thread, the loop and its connection to the process that this one was forked from."""
    global _line
    _line = _Line()


os.register_at_fork(after_in_child=_begin_anew)

"""The socket on which a user hears of everything that moves."""

import asyncio
from datetime import datetime
from typing import Any, Final

from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils import timezone

from notifications.authentication import PROTOCOL, authenticate
from notifications.transports.websocket import group_of

SIGN_IN_AGAIN: Final = 4401
"""The close code that asks the client to come again with a new token, or its session."""

_UNSUPPORTED_DATA: Final = 1003  # RFC 6455, section 7.4.1


class UserConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    """Passes on what is pushed to a user, and takes nothing.

    A stranger's handshake is refused (HTTP 403). Nobody stays longer than an access token lives, so that
    whoever has lost access, or signed out, loses the socket too.
    """

    group: str | None = None
    expiry: asyncio.TimerHandle | None = None

    async def connect(self) -> None:
        """Let a user in."""
        now = timezone.now()
        guest = await authenticate(self.scope, now=now)
        if guest is None:
            await self.close()
            return
        self.group = group_of(guest.user.pk)
        # Before the client hears that it is connected: what it reads after that may leave nothing out.
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept(PROTOCOL if PROTOCOL in self.scope["subprotocols"] else None)
        self.expiry = self._close_at(guest.until, now=now)

    async def disconnect(self, code: int) -> None:
        """Leave the group."""
        if self.expiry is not None:
            self.expiry.cancel()
        if self.group is not None:
            await self.channel_layer.group_discard(self.group, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Hang up on a client that talks: there is nothing that it could ask for here."""
        await self.close(_UNSUPPORTED_DATA, "This socket only pushes.")

    async def push(self, event: dict[str, Any]) -> None:
        """Pass on one message; see :func:`notifications.transports.websocket.push`."""
        await self.send(event["text"])

    def _close_at(self, until: datetime, *, now: datetime) -> asyncio.TimerHandle:
        loop = asyncio.get_running_loop()
        return loop.call_later((until - now).total_seconds(), lambda: loop.create_task(self._expire()))

    async def _expire(self) -> None:
        await self.close(SIGN_IN_AGAIN, "Sign in again.")

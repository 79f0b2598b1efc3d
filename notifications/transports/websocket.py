"""Messages to the browsers and programs of a user that are connected right now."""

import json
from collections.abc import Mapping
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

log = structlog.get_logger(__name__)


def group_of(user_id: object) -> str:
    """Return the name of the group that a user's sockets are in."""
    return f"user.{user_id}"


def push(*, user_id: object, message: Mapping[str, Any]) -> None:
    """Send ``message``, which must be JSON-ready, to every open socket of a user.

    It promises nothing: the layer may lose it, and whoever needs to be sure reads again. So a layer that
    can't be reached is logged and fails nothing.
    """
    # Encoded here, once, and not once for each socket.
    event = {"type": "push", "text": json.dumps(message, separators=(",", ":"))}
    try:
        async_to_sync(get_channel_layer().group_send)(group_of(user_id), event)
    except Exception:
        log.exception("websocket.unreachable", user_id=str(user_id))

"""One process for everything on one machine, and the sockets' process in production."""

import asyncio
import os

from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "renderhub.settings")

http = get_asgi_application()

from django.conf import settings  # noqa: E402  # the application must be set up first

from exports import sweeper  # noqa: E402
from exports.urls import BATCH_PATH  # noqa: E402
from notifications.routing import websockets  # noqa: E402
from renderhub.bodies import Receive, Scope, Send, limit_bodies  # noqa: E402
from renderhub.checks import refuse_errors  # noqa: E402

refuse_errors()


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Run the sweeper as a task of this process, unless Redis lets it be a process of its own.

    The in-memory channel layer reaches no other process, so on one machine the sweeper must run where the
    sockets are.
    """
    await receive()
    stop = asyncio.Event()
    task = None if settings.REDIS_URL else asyncio.create_task(sweeper.run(stop))
    await send({"type": "lifespan.startup.complete"})
    await receive()
    stop.set()
    if task is not None:
        await task
    await send({"type": "lifespan.shutdown.complete"})


application = ProtocolTypeRouter(
    {
        "http": limit_bodies(
            http, max_bytes=settings.MAX_BODY_BYTES, larger={BATCH_PATH: settings.MAX_BATCH_BYTES}
        ),
        "websocket": websockets,
        "lifespan": lifespan,
    }
)

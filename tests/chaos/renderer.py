"""A stand-in for Remotion's function that speaks its protocol, renders nothing, and counts the starts."""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections import Counter
from typing import Any, Final
from urllib.parse import urlsplit

from tests.chaos import wire
from tests.chaos.killer import Killer
from tests.chaos.ledger import Begun, Ledger
from tests.chaos.plan import Ending, Kill, Plan, Start
from tests.chaos.storage import Storage
from tests.chaos.wire import DroppedError, Request, Response, UnansweredError, UnreachableError

CRASHED: Final = "Page crashed!"
THREW: Final = "The chart has no data to draw: {unbalanced"
STOPPED: Final = "renderMedia() got cancelled"

_LOOK_FOR_CANCEL_S: Final = 1.0
_WEBHOOK_TIMEOUT_S: Final = 10.0
_WEBHOOK_PAUSES_S: Final = (0.5, 1.0)
_TIME_LIMIT_MS: Final = 900_000


class Renderer:
    """Remotion's function: ``start`` and ``status``, its files in S3, and its own webhooks."""

    def __init__(
        self, plan: Plan, ledger: Ledger, killer: Killer, storage: Storage, *, claim_s: float
    ) -> None:
        self._plan = plan
        self._ledger = ledger
        self._killer = killer
        self._storage = storage
        self._claim_s = claim_s
        self._calls: Counter[tuple[int, int]] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        """Whether a render runs, or a webhook is still being sent."""
        return bool(self._tasks)

    async def handle(self, request: Request) -> Response:
        """Answer one invocation."""
        payload = json.loads(request.body)
        if payload["type"] == "status":
            return self._status(payload["renderId"])
        return await self._start(payload, request)

    async def _start(self, payload: dict[str, Any], request: Request) -> Response:
        data = payload["webhook"]["customData"]
        export_id, attempt = data["exportId"], data["attempt"]
        number = self._ledger.number_of(export_id)
        self._calls[number, attempt] += 1
        self._ledger.start_calls += 1
        key = (number, attempt, self._calls[number, attempt])
        kill = self._plan.kill("start", *key)
        if kill is not None and kill[0] is Kill.BEFORE:
            self._killer.kill(request.client_port)
            raise DroppedError
        if kill is not None and kill[0] is Kill.SOON:
            self._killer.kill_soon(request.client_port, after_s=kill[1])
        answer, breaks = self._plan.start(*key)
        if answer is Start.THROTTLED:
            self._ledger.throttled_starts += 1
            return _refused(429, "TooManyRequestsException", "Rate Exceeded.")
        if answer is Start.BROKEN:
            self._ledger.broken_starts += 1
            return _refused(500, "ServiceException", "An error occurred and the request cannot be processed.")
        render = self._begin(payload, export_id=export_id, attempt=attempt)
        if kill is not None and kill[0] is Kill.AFTER:
            self._killer.kill(request.client_port)
            raise DroppedError
        if answer is Start.UNANSWERED:
            self._ledger.unanswered_starts += 1
            if breaks:
                raise DroppedError
            return _refused(500, "ServiceException", "An error occurred and the request cannot be processed.")
        return _json({"type": "success", "bucketName": payload["bucketName"], "renderId": render.render_id})

    def _begin(self, payload: dict[str, Any], *, export_id: str, attempt: int) -> Begun:
        asked = self._ledger.asked[self._ledger.compositions[export_id]]
        order = asked.order
        ending = order.ending
        if (ending is Ending.FATAL and attempt > asked.fatal_until) or (
            ending is Ending.FLAKY and attempt > order.crashes
        ):
            ending = Ending.FINE
        render = Begun(
            render_id=secrets.token_hex(5),
            export_id=export_id,
            attempt=attempt,
            ending=ending,
            output_key=payload["outName"]["key"],
        )
        self._ledger.renders[render.render_id] = render
        self._ledger.starts[export_id, attempt].append(render)
        duration_s = self._plan.duration_s(order.number, attempt, claim_s=self._claim_s)
        task = asyncio.create_task(self._run(render, payload, duration_s=duration_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return render

    async def _run(self, render: Begun, payload: dict[str, Any], *, duration_s: float) -> None:
        if await self._cancelled(render, payload["bucketName"], duration_s=duration_s):
            render.ended, render.error = "cancelled", STOPPED
        elif render.ending is Ending.FINE:
            file = f"{render.export_id} {render.attempt}".encode()
            await self._storage.put(payload["outName"]["bucketName"], render.output_key, file)
            render.ended, render.progress, render.size_bytes = "success", 1.0, len(file)
        else:
            render.ended = "error"
            render.error = THREW if render.ending is Ending.FATAL else CRASHED
        await self._tell(render, payload["webhook"], payload["bucketName"])

    async def _cancelled(self, render: Begun, bucket: str, *, duration_s: float) -> bool:
        """Let the render's time pass; return whether it was told to stop before it was over."""
        hangs = render.ending is Ending.HANGING
        began = time.monotonic()
        while hangs or time.monotonic() - began < duration_s:
            left_s = duration_s - (time.monotonic() - began)
            await asyncio.sleep(_LOOK_FOR_CANCEL_S if hangs else min(_LOOK_FOR_CANCEL_S, max(left_s, 0.01)))
            render.progress = min((time.monotonic() - began) / duration_s, 0.95)
            over = not hangs and time.monotonic() - began >= duration_s
            if not over and await self._storage.exists(bucket, f"renders/{render.render_id}/cancel.json"):
                return True
        return False

    async def _tell(self, render: Begun, webhook: dict[str, Any], bucket: str) -> None:
        """Send Remotion's own webhook, with its two further tries."""
        error = {"name": "Error", "message": render.error, "stack": f"Error: {render.error}"}
        what: dict[str, Any] = (
            {"outputFile": f"s3://{bucket}/{render.output_key}", "costs": {"estimatedCost": 0.01}}
            if render.ended == "success"
            else {"errors": [error]}
        )
        body = json.dumps(
            {
                "type": "success" if render.ended == "success" else "error",
                "renderId": render.render_id,
                "bucketName": bucket,
                "customData": webhook["customData"],
                **what,
            }
        ).encode()
        headers = {
            "content-type": "application/json",
            "x-remotion-mode": "production",
            "x-remotion-signature": "sha512="
            + hmac.new(webhook["secret"].encode(), body, hashlib.sha512).hexdigest(),
        }
        address = urlsplit(webhook["url"])
        for pause_s in (*_WEBHOOK_PAUSES_S, None):
            try:
                answer = await wire.fetch(
                    address.port or 80,
                    "POST",
                    address.path,
                    headers=headers,
                    body=body,
                    timeout_s=_WEBHOOK_TIMEOUT_S,
                )
                if answer.status < 300:
                    return
            except (UnreachableError, UnansweredError):
                pass
            if pause_s is not None:
                await asyncio.sleep(pause_s)

    def _status(self, render_id: str) -> Response:
        render = self._ledger.renders[render_id]
        error = {"message": render.error, "stack": render.error, "isFatal": True, "willRetry": False}
        return _json(
            {
                "type": "success",
                "renderId": render_id,
                "done": render.ended == "success",
                "overallProgress": render.progress,
                "fatalErrorEncountered": render.ended in ("error", "cancelled"),
                "errors": [error] if render.error else [],
                "outKey": render.output_key if render.ended == "success" else None,
                "outputFile": f"s3://{render.output_key}" if render.ended == "success" else None,
                "outputSizeInBytes": render.size_bytes if render.ended == "success" else None,
                "costs": {"accruedSoFar": 0.01 * render.progress, "currency": "USD"},
                "renderMetadata": {},
                "currentTime": int(time.time() * 1000),
                "timeoutTimestamp": int(time.time() * 1000) + _TIME_LIMIT_MS,
            }
        )


def _json(body: object, status: int = 200, **headers: str) -> Response:
    return Response(
        status=status,
        headers={"content-type": "application/json", **headers},
        body=json.dumps(body).encode(),
    )


def _refused(status: int, code: str, message: str) -> Response:
    return _json({"Message": message}, status, **{"x-amzn-errortype": code})

"""What lies between the parts, and fails: the way to the queue, and the way of the webhooks."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.chaos import wire
from tests.chaos.killer import Killer
from tests.chaos.ledger import Ledger
from tests.chaos.plan import Fate, Kill, Plan
from tests.chaos.storage import ROOT
from tests.chaos.wire import DroppedError, Request, Response, UnansweredError, UnreachableError


class Background:
    """Things that happen later."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def busy(self) -> bool:
        """Whether something is still to happen."""
        return bool(self._tasks)

    def later(self, after_s: float, action: Any) -> None:
        """Await ``action`` after so many seconds."""

        async def run() -> None:
            await asyncio.sleep(after_s)
            try:
                await action()
            except (UnreachableError, UnansweredError):
                # What comes again by chance may get lost by chance.
                return

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class QueueProxy:
    """Stands before SQS: some messages arrive twice, and for a while none arrives.

    Attributes:
        down: while set, every connection breaks.
    """

    def __init__(self, plan: Plan, ledger: Ledger, background: Background, *, port: int) -> None:
        self.down = False
        self._plan = plan
        self._ledger = ledger
        self._background = background
        self._port = port
        self._seen: Counter[tuple[object, ...]] = Counter()

    async def handle(self, request: Request) -> Response:
        """Send a request of the API on to SQS."""
        if self.down:
            self._ledger.refusals += 1
            raise DroppedError
        if not request.headers["x-amz-target"].endswith("SendMessageBatch"):
            return await wire.forward(request, self._port)
        sent = json.loads(request.body)
        bodies = [entry["MessageBody"] for entry in sent["Entries"]]
        for body in bodies:
            message = json.loads(body)
            if message["action"] == "start":
                self._ledger.compositions[message["exportId"]] = message["renderConfig"]["compositionId"]
        answer = await wire.forward(request, self._port)
        for body in bodies:
            self._repeat(sent["QueueUrl"], body)
        return answer

    def _repeat(self, queue_url: str, body: str) -> None:
        message = json.loads(body)
        key = (self._ledger.number_of(message["exportId"]), message["attempt"], message["action"])
        self._seen[key] += 1
        after_s = self._plan.duplicate_after_s(*key, self._seen[key])
        if after_s is None:
            return
        self._ledger.duplicates += 1
        headers = {
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": "AmazonSQS.SendMessage",
            "authorization": ROOT["authorization"].replace("/s3/", "/sqs/"),
        }
        again = json.dumps({"QueueUrl": queue_url, "MessageBody": body}).encode()

        async def send() -> None:
            answer = await wire.fetch(self._port, "POST", "/", headers=headers, body=again)
            assert answer.status == 200, answer

        self._background.later(after_s, send)


@dataclass(slots=True)
class _Webhook:
    """One webhook over all its tries.

    Attributes:
        step: ``claim``, ``report`` (a render's first), ``look`` (a poll's) or ``native``.
        fate: what becomes of it.
        after_s: the seconds that belong to the fate.
        kill: when its sender is killed.
    """

    id: str
    step: str
    fate: Fate
    after_s: float
    kill: tuple[Kill, float] | None


class WebhookProxy:
    """Stands before the API: some webhooks are lost, late or repeated, and some of their senders killed."""

    def __init__(
        self, plan: Plan, ledger: Ledger, killer: Killer, background: Background, *, port: int
    ) -> None:
        self._plan = plan
        self._ledger = ledger
        self._killer = killer
        self._background = background
        self._port = port
        self._webhooks: dict[str, _Webhook] = {}
        self._seen: Counter[tuple[object, ...]] = Counter()

    async def handle(self, request: Request) -> Response:
        """Send one try of a webhook on to the API, if it is to arrive."""
        data = json.loads(request.body)
        id = data.get("id") or f"native-{data['renderId']}"
        webhook = self._webhooks.get(id)
        if webhook is None:
            webhook = self._webhooks[id] = self._meet(id, data)
        kill, webhook.kill = webhook.kill, None
        if kill is not None and kill[0] is Kill.BEFORE and self._killer.kill(request.client_port):
            raise DroppedError
        if kill is not None and kill[0] is Kill.SOON:
            self._killer.kill_soon(request.client_port, after_s=kill[1])
        if webhook.fate is Fate.LOST:
            raise DroppedError
        if webhook.fate is Fate.LATE:
            await asyncio.sleep(webhook.after_s)
        try:
            answer = await wire.forward(request, self._port)
        except (UnreachableError, UnansweredError):
            raise DroppedError from None
        if answer.status >= 500:
            self._ledger.server_errors.append(f"{webhook.step}: {answer.status} {answer.body[:200]!r}")
        if webhook.step == "report" and answer.status < 300:
            self._ledger.reports[id] = True
        if webhook.fate is Fate.REPEATED:
            self._background.later(webhook.after_s, lambda: wire.forward(request, self._port))
        if kill is not None and kill[0] is Kill.AFTER and self._killer.kill(request.client_port):
            raise DroppedError
        if webhook.fate is Fate.UNANSWERED:
            raise DroppedError
        return answer

    def _meet(self, id: str, data: dict[str, Any]) -> _Webhook:
        if "customData" in data:
            step, data = "native", data["customData"]
        elif data["type"] == "render_started":
            step = "claim"
        elif data["type"] == "render_progress" and "token" in data:
            step = "report"
            self._ledger.reports[id] = False
        else:
            step = "look"
        step_of = (self._ledger.number_of(data["exportId"]), data["attempt"], step)
        self._seen[step_of] += 1
        key = (*step_of, self._seen[step_of])
        fate, after_s = self._plan.fate(*key)
        self._ledger.webhooks += 1
        self._ledger.webhooks_lost += fate is Fate.LOST
        self._ledger.webhooks_unanswered += fate is Fate.UNANSWERED
        self._ledger.webhooks_late += fate is Fate.LATE
        self._ledger.webhooks_repeated += fate is Fate.REPEATED
        kill = None if step == "native" else self._plan.kill(step, *key)
        return _Webhook(id=id, step=step, fate=fate, after_s=after_s, kill=kill)

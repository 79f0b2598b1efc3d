"""One run: everything up, the users let loose, everything broken in turn, and a verdict."""

import asyncio
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import django

from tests.chaos import wire
from tests.chaos.judge import Verdict, judge
from tests.chaos.killer import Killer
from tests.chaos.ledger import Asked, Ledger
from tests.chaos.plan import USERS, Incident, Plan
from tests.chaos.proxies import Background, QueueProxy, WebhookProxy
from tests.chaos.renderer import Renderer
from tests.chaos.storage import Storage
from tests.chaos.system import MARK, System
from tests.chaos.users import Users

Answer = TypeVar("Answer")

_SAMPLE_S: Final = 0.1
_SETTLED_S: Final = 0.5
# Each takes a second of a core to start: too many for a short run.
_FEWEST_WORKERS: Final = 6
_MOST_WORKERS: Final = 16
_TOLD_S: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The system's own times, shortened.

    Attributes:
        visibility_s: how long SQS hides a message that a worker has taken; 900 in production.
        resend_s: when a start that nobody claims is sent again; 60 in production.
        claim_s: how long a claim may stay without a render id; 180 in production.
        poll_s: the first pause before a look at a render; 5 in production.
        timeout_s: how long a render may last; 900 in production.
        stall_s: when nothing has moved for so long, nothing will: longer than any of the others.
    """

    visibility_s: int = 12
    resend_s: float = 5.0
    claim_s: float = 15.0
    poll_s: float = 1.5
    timeout_s: float = 180.0
    stall_s: float = 210.0


@dataclass(slots=True)
class Most:
    """The most that was seen at one time."""

    holders: int = 0
    rendering: int = 0
    of_a_user: int = 0


class Run:
    """One run of the plan against the system.

    Args:
        plan: what happens.
        folder: for the system's files and logs, emptied first.
        database: the environment that reaches the database, which is empty.
        limit: RENDER_MAX_CONCURRENCY.
        user_limit: RENDER_MAX_CONCURRENCY_PER_USER.
        times: the system's own times.
        broken: the rule that is left out, if any.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        folder: Path,
        database: Mapping[str, str],
        limit: int,
        user_limit: int,
        times: Times,
        broken: str | None,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._server = database
        self._limit = limit
        self._user_limit = user_limit
        self._times = times
        self._broken = broken
        self._ledger = Ledger(asked={order.composition: Asked(order=order) for order in plan.orders()})
        self._background = Background()
        # One thread, so that the database gets one connection.
        self._database = ThreadPoolExecutor(1)
        self._most = Most()
        self._moved = time.monotonic()
        # One strike after the other: on a busy machine the API may take longer to start than they lie apart.
        self._api_is_struck = asyncio.Lock()

    async def run(self) -> Verdict:
        """Return when all is over and everything has been stopped."""
        began = time.monotonic()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        late = _Late()
        renderer_server, renderer_port = await wire.serve(late.renderer)
        queue_server, queue_port = await wire.serve(late.queue)
        webhook_server, webhook_port = await wire.serve(late.webhook)
        system = System(
            folder=self._folder,
            database=self._server,
            renderer_port=renderer_port,
            visibility_s=self._times.visibility_s,
            workers=min(max(_FEWEST_WORKERS, self._plan.exports // 100), _MOST_WORKERS),
            broken=self._broken,
        )
        left: list[str] = []
        try:
            # From this thread, whose end would end them.
            system.start_cloud()
            killer = Killer(self._ledger, f"{MARK}={system.mark}")
            renderer = Renderer(
                self._plan,
                self._ledger,
                killer,
                Storage(system.cloud_port),
                claim_s=self._times.claim_s,
            )
            queue = QueueProxy(self._plan, self._ledger, self._background, port=system.cloud_port)
            webhook = WebhookProxy(self._plan, self._ledger, killer, self._background, port=system.api_port)
            late.to(renderer.handle, queue.handle, webhook.handle)
            environment = system.environment(
                queue_port=queue_port, webhook_port=webhook_port, settings=self._settings()
            )
            records, accounts = await self._prepare(environment)
            await system.start(environment)
            users = Users(
                accounts,
                self._ledger,
                api_port=system.api_port,
            )
            await self._go_through(system, users, queue, renderer, records)
            exports = await self._ask(records.exports)
            deliveries = await self._ask(records.deliveries)
            messages, outputs = system.messages(), system.outputs()
        finally:
            left = system.stop()
            for server in (renderer_server, queue_server, webhook_server):
                server.close()
        return judge(
            self._ledger,
            seed=self._plan.seed,
            limit=self._limit,
            user_limit=self._user_limit,
            max_running=self._most.holders,
            max_rendering=self._most.rendering,
            max_of_a_user=self._most.of_a_user,
            exports=exports,
            deliveries=deliveries,
            outputs=outputs,
            mails=_mails(self._folder / "mails"),
            messages=messages,
            left_processes=left,
            seconds=time.monotonic() - began,
        )

    def _settings(self) -> dict[str, str]:
        times = self._times
        return {
            "RENDER_MAX_CONCURRENCY": str(self._limit),
            "RENDER_MAX_CONCURRENCY_PER_USER": str(self._user_limit),
            # So many that nothing fails for having been struck too often.
            "RENDER_MAX_ATTEMPTS": "6",
            "RENDER_RESEND_S": str(times.resend_s),
            "RENDER_CLAIM_S": str(times.claim_s),
            "RENDER_POLL_S": str(times.poll_s),
            "RENDER_TIMEOUT_S": str(times.timeout_s),
            # Twenty users ask as often as thousands would.
            "LIMIT_READS": "1000000/m",
            "LIMIT_WRITES": "1000000/m",
            "LIMIT_EXPORTS": "1000000/m",
            "MAX_PENDING_PER_USER": "1000000",
        }

    async def _prepare(self, environment: dict[str, str]) -> tuple[Any, Any]:
        """Open the system's database in this process, and fill it with users."""
        os.environ.update({name: value for name, value in environment.items() if name != "CHAOS_BREAK"})
        django.setup()
        from tests.chaos import records

        return records, await self._ask(records.prepare, USERS)

    async def _ask(self, question: Callable[..., Answer], *arguments: Any) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._database, question, *arguments)

    async def _go_through(
        self, system: System, users: Users, queue: QueueProxy, renderer: Renderer, records: Any
    ) -> None:
        self._moved = time.monotonic()
        watching = asyncio.create_task(self._watch(records))
        acting = asyncio.gather(
            users.run(), *(self._break(incident, system, queue) for incident in self._plan.incidents())
        )
        try:
            while time.monotonic() - self._moved < self._times.stall_s:
                if acting.done():
                    acting.result()
                    if not (
                        renderer.busy
                        or self._background.busy
                        or await self._ask(records.unfinished)
                        or any((await asyncio.to_thread(system.messages)).values())
                    ):
                        return
                await asyncio.sleep(_SETTLED_S)
            print(f"Nothing has moved for {self._times.stall_s:.0f} s.", flush=True)
        finally:
            acting.cancel()
            watching.cancel()
            await asyncio.gather(acting, watching, return_exceptions=True)

    async def _watch(self, records: Any) -> None:
        told, known, unfinished = time.monotonic(), 0, 0
        while True:
            holders = await self._ask(records.holders)
            rendering = [
                render
                for render in self._ledger.running
                if (render.export_id, render.attempt) in holders.exports
            ]
            self._most.holders = max(self._most.holders, len(holders.exports))
            self._most.rendering = max(self._most.rendering, len(rendering))
            self._most.of_a_user = max(self._most.of_a_user, holders.most_of_a_user)
            if time.monotonic() - told > _TOLD_S:
                told = time.monotonic()
                known = sum(asked.export_id is not None for asked in self._ledger.asked.values())
                seen, unfinished = (known, unfinished), await self._ask(records.unfinished)
                if (known, unfinished) != seen:
                    self._moved = told
                print(
                    f"  {known} asked for, {unfinished} not ended, "
                    f"{len(holders.exports)} with a slot, {len(self._ledger.renders)} started, "
                    f"{self._ledger.kills} workers killed",
                    flush=True,
                )
            await asyncio.sleep(_SAMPLE_S)

    async def _break(self, incident: Incident, system: System, queue: QueueProxy) -> None:
        await asyncio.sleep(incident.at_s)
        print(f"  -- {incident.what}", flush=True)
        match incident.what:
            case "api down":
                async with self._api_is_struck:
                    await system.stop_api()
                    await asyncio.sleep(self._plan.outage_s)
                    await system.start_api()
            case "api killed":
                async with self._api_is_struck:
                    await system.kill_api()
                    self._ledger.api_kills += 1
                    await system.start_api()
            case "sweeper killed":
                await system.kill_sweeper()
                self._ledger.sweeper_kills += 1
                await system.start_sweeper()
            case "queue down":
                queue.down = True
                await asyncio.sleep(self._plan.outage_s)
                queue.down = False


class _Late:
    """Handlers whose addresses must be known before they can be made."""

    def __init__(self) -> None:
        self._ready = asyncio.Event()

    def to(self, renderer: wire.Handler, queue: wire.Handler, webhook: wire.Handler) -> None:
        self._renderer, self._queue, self._webhook = renderer, queue, webhook
        self._ready.set()

    async def renderer(self, request: wire.Request) -> wire.Response:
        await self._ready.wait()
        return await self._renderer(request)

    async def queue(self, request: wire.Request) -> wire.Response:
        await self._ready.wait()
        return await self._queue(request)

    async def webhook(self, request: wire.Request) -> wire.Response:
        await self._ready.wait()
        return await self._webhook(request)


def _mails(folder: Path) -> Counter[str]:
    """Return how often each e-mail was sent, by its Message-ID."""
    texts = [path.read_text(errors="replace") for path in folder.glob("*")] if folder.exists() else []
    return Counter(id for text in texts for id in re.findall(r"^Message-ID: (<.*>)$", text, re.MULTILINE))

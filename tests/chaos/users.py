"""The users: they ask for exports, cancel some, and ask again for some that have failed."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.chaos import wire
from tests.chaos.ledger import Asked, Ledger
from tests.chaos.plan import Ending
from tests.chaos.wire import Response, UnansweredError, UnreachableError

_AGAIN_S: Final = 0.5
_LOOK_S: Final = 3.0
_ENDED: Final = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user's token and project."""

    token: str
    project_id: str


class Users:
    """All users.

    Args:
        accounts: theirs.
        ledger: what they know of their exports.
        api_port: where the API listens.
    """

    def __init__(
        self,
        accounts: Sequence[Account],
        ledger: Ledger,
        *,
        api_port: int,
    ) -> None:
        self._accounts = accounts
        self._ledger = ledger
        self._api_port = api_port

    async def run(self) -> None:
        """Return when every user has done what the plan says."""
        async with asyncio.TaskGroup() as group:
            for asked in self._ledger.asked.values():
                group.create_task(self._live(asked))

    async def _live(self, asked: Asked) -> None:
        order = asked.order
        await asyncio.sleep(order.at_s)
        await self._create(asked)
        if order.cancel_after_s is not None:
            await asyncio.sleep(order.cancel_after_s)
            await self._cancel(asked)
        if order.retried and (order.ending is Ending.FATAL or order.cancel_after_s is not None):
            await self._retry(asked)

    async def _create(self, asked: Asked) -> None:
        order = asked.order
        account = self._accounts[order.user]
        path = f"/api/exports/projects/{account.project_id}/export"
        body = {"compositionId": order.composition, "priority": order.priority}
        while True:
            try:
                # With a key, so that one which was recorded without an answer isn't recorded again.
                answer = await self._call(asked, "POST", path, body, key=order.composition)
            except (UnreachableError, UnansweredError):
                await asyncio.sleep(_AGAIN_S)
                continue
            if answer.status == 202:
                asked.export_id = json.loads(answer.body)["exportId"]
                return
            await asyncio.sleep(_AGAIN_S)

    async def _cancel(self, asked: Asked) -> None:
        asked.cancel_sent = True
        answer = await self._insist(asked, "POST", "cancel")
        # One whose first try was carried out without an answer is told at the second that it has ended.
        asked.cancelled = answer.status == 200 or (
            answer.status == 409 and json.loads(answer.body)["exportStatus"] == "cancelled"
        )

    async def _retry(self, asked: Asked) -> None:
        while True:
            status = json.loads((await self._insist(asked, "GET", "status")).body)
            if status["status"] in _ENDED:
                break
            await asyncio.sleep(_LOOK_S)
        if status["status"] == "completed":
            return
        asked.fatal_until = status["attempt"]
        answer = await self._insist(asked, "POST", "retry")
        # As above: it runs again already.
        assert answer.status in (202, 409), answer
        asked.retries += 1

    async def _insist(self, asked: Asked, method: str, what: str) -> Response:
        """Ask until there is an answer that isn't the API's fault."""
        while True:
            try:
                answer = await self._call(asked, method, f"/api/exports/{asked.export_id}/{what}")
            except (UnreachableError, UnansweredError):
                await asyncio.sleep(_AGAIN_S)
                continue
            if answer.status < 500:
                return answer
            await asyncio.sleep(_AGAIN_S)

    async def _call(
        self,
        asked: Asked,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Response:
        headers = {
            "authorization": f"Bearer {self._accounts[asked.order.user].token}",
            "content-type": "application/json",
            **({} if key is None else {"idempotency-key": key}),
        }
        answer = await wire.fetch(
            self._api_port,
            method,
            path,
            headers=headers,
            body=b"" if body is None else json.dumps(body).encode(),
        )
        if answer.status >= 500:
            self._ledger.server_errors.append(f"{method} {path}: {answer.status} {answer.body[:200]!r}")
        return answer

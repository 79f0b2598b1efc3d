"""Sends the worker's webhooks to the API, signed, and reads the answers."""

import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from random import SystemRandom
from typing import Final

import urllib3
from urllib3.exceptions import HTTPError

from lambda_worker import contract, signing
from lambda_worker.contract import Action, Answer, Webhook
from lambda_worker.telemetry import Metric, count, log

MAX_TRIES: Final = 5

_CONNECT_TIMEOUT_S: Final = 3.0
_READ_TIMEOUT_S: Final = 10.0
_SHORTEST_TIMEOUT_S: Final = 1.0
_BACKOFF_S: Final = 0.5
_MAX_ANSWER_BYTES: Final = 65_536

_RANDOM: Final = SystemRandom()

_TEMPORARY: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


class Callback:
    """Delivers webhooks, and tells what the API answered.

    A webhook that can't be delivered never fails a render: :meth:`post` raises nothing, and what it couldn't
    say is found out by a poll or decided by the API's own deadlines.
    """

    def __init__(
        self,
        *,
        secret: str,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        uniform: Callable[[float, float], float] = _RANDOM.uniform,
    ) -> None:
        self._secret = secret
        self._clock = clock
        self._sleep = sleep
        self._uniform = uniform
        self._pool = urllib3.PoolManager(num_pools=2)

    def post(
        self,
        url: str,
        webhook: Webhook,
        *,
        time_left_s: Callable[[], float],
        on_unknown: Action | None = None,
    ) -> Answer | None:
        """Send ``webhook`` and return the API's answer, or ``None`` where it couldn't be delivered.

        Up to :data:`MAX_TRIES` tries with one ``id``, each with a timestamp and a signature of its own, after
        pauses that grow exponentially, with full jitter. The first try is always made, a further one only
        while there is time for it. A redirect isn't followed; it is final, as is 4xx other than 408 and 429.

        Args:
            url: the API's webhook address.
            webhook: what to say.
            time_left_s: how many seconds may still be spent here.
            on_unknown: the action to return where the API doesn't know the export (404).
        """
        id, tries = str(uuid.uuid4()), 0
        while True:
            body = contract.dump_webhook(webhook, id=id, timestamp=self._clock())
            outcome = self._send(url, body, read_timeout_s=min(_READ_TIMEOUT_S, time_left_s()))
            tries += 1
            if isinstance(outcome, Answer):
                return outcome
            if outcome == HTTPStatus.NOT_FOUND:
                log.info("webhook.export_unknown", webhook=webhook.type)
                return Answer(action=on_unknown)
            pause_s = self._uniform(0, _BACKOFF_S * 2 ** (tries - 1))
            too_late = time_left_s() < pause_s + _SHORTEST_TIMEOUT_S
            if _is_final(outcome) or tries == MAX_TRIES or too_late:
                log.error("webhook.undelivered", webhook=webhook.type, outcome=outcome, tries=tries)
                count(Metric.WEBHOOKS_UNDELIVERED)
                return None
            log.warning("webhook.retried", webhook=webhook.type, outcome=outcome)
            self._sleep(pause_s)

    def _send(self, url: str, body: bytes, *, read_timeout_s: float) -> Answer | int | str:
        """Make one try: the answer, or a status other than 2xx, or the name of the error that came."""
        headers = {
            "Content-Type": "application/json",
            signing.HEADER: signing.sign(body, secret=self._secret),
        }
        timeout = urllib3.Timeout(connect=_CONNECT_TIMEOUT_S, read=max(read_timeout_s, _SHORTEST_TIMEOUT_S))
        try:
            response = self._pool.request(
                "POST",
                url,
                body=body,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            with response:
                text = response.read(_MAX_ANSWER_BYTES)
        except (HTTPError, OSError) as error:
            return type(error).__name__
        if not 200 <= response.status < 300:
            return response.status
        try:
            return contract.parse_answer(text)
        except contract.ContractError:
            # Delivered, and yet no answer: whoever needed an action goes without.
            log.warning("webhook.answer_unreadable", status=response.status)
            return Answer()


def _is_final(outcome: int | str) -> bool:
    return isinstance(outcome, int) and outcome < 500 and outcome not in _TEMPORARY

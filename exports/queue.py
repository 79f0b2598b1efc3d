"""The queue of messages to the worker."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final, Protocol

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from lambda_worker.contract import Message, dump_message
from renderhub import aws

log = structlog.get_logger(__name__)

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
_MAX_BATCH: Final = 10
_MAX_BATCH_BYTES: Final = 262_144


class MessageQueue(Protocol):
    """Takes messages for the worker."""

    def send(self, messages: Sequence[Message]) -> list[str | None]:
        """Send messages and return the queue's id for each, ``None`` where it didn't take one.

        It never raises: the exports' rows say what is due, so what isn't sent now is sent by the sweeper.
        """


class SqsQueue:
    """Amazon SQS.

    Args:
        url: the queue's address; empty where there is no queue, and then nothing is ever taken.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, messages: Sequence[Message]) -> list[str | None]:
        """Send messages in as few requests as SQS allows."""
        ids: list[str | None] = []
        for batch in _batches([dump_message(message) for message in messages]):
            ids += self._send_batch(batch)
        return ids

    def _send_batch(self, bodies: Sequence[str]) -> list[str | None]:
        if not self._url:
            log.warning("queue.missing", hint="set REMOTION_SQS_QUEUE_URL", messages=len(bodies))
            return [None] * len(bodies)
        try:
            answer = aws.sqs().send_message_batch(
                QueueUrl=self._url,
                Entries=[{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies)],
            )
        except (BotoCoreError, ClientError) as error:
            log.warning("queue.unreachable", error=str(error), messages=len(bodies))
            return [None] * len(bodies)
        for failed in answer.get("Failed", ()):
            log.warning("queue.refused", code=failed.get("Code"), reason=failed.get("Message"))
        ids = {int(sent["Id"]): sent["MessageId"] for sent in answer.get("Successful", ())}
        return [ids.get(i) for i in range(len(bodies))]


def _batches(bodies: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for body in bodies:
        # The contract writes ASCII, so characters are bytes.
        if batch and (len(batch) == _MAX_BATCH or size + len(body) > _MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += len(body)
    if batch:
        yield batch


@cache
def get_queue() -> MessageQueue:
    """Return this deployment's queue."""
    return SqsQueue(settings.REMOTION_SQS_QUEUE_URL)

"""The dead-letter queue: messages that the worker could not read, or crashed on again and again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

from lambda_worker.contract import ContractError, Message, parse_message
from renderhub import aws

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

log = structlog.get_logger(__name__)

HIDDEN_S: Final = 60
"""How long a received letter stays hidden from others: longer than one look takes.

Whoever looks releases at the end what stays, so this matters only where the one who looks is killed. Then
the letters show again after this long.
"""

_MAX_BATCH: Final = 10


class DeadLettersError(Exception):
    """A queue could not be used; the text says which, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One message on the dead-letter queue.

    Attributes:
        id: the queue's id of it.
        receipt: proves to the queue that it was received; each receiving gives another.
        body: the message's text.
        message: what the text says; ``None`` where it is unreadable.
        reason: why the worker set it aside, or else why it is unreadable; empty where neither is known, since
            the queue itself moved it after the worker had received it too often.
        receive_count: how often the queue has handed it out, this time included.
        sent_at: when it was first sent.
    """

    id: str
    receipt: str
    body: str
    message: Message | None
    reason: str
    receive_count: int
    sent_at: datetime


class DeadLetterQueue(Protocol):
    """Holds dead letters. What is received and neither deleted nor redriven comes back by itself."""

    def receive(self, *, limit: int, wait_s: int = 0) -> Iterator[DeadLetter]:
        """Yield letters until ``limit``, or until none is found; nobody else receives them meanwhile.

        Args:
            limit: how many to receive.
            wait_s: how long to wait for the next; with 0 a letter may be missed that is there.

        Raises:
            DeadLettersError: the queue can't be reached.
        """

    def delete(self, letters: Sequence[DeadLetter]) -> None:
        """Take received letters off the queue for good.

        Raises:
            DeadLettersError: the queue can't be reached, or has kept some.
        """

    def release(self, letters: Sequence[DeadLetter]) -> None:
        """Let others receive these letters at once.

        Raises:
            DeadLettersError: the queue can't be reached.
        """

    def redrive(self, letters: Sequence[DeadLetter]) -> None:
        """Put received letters back on the queue of the worker, as they are.

        Raises:
            DeadLettersError: a queue can't be reached; those before the one that failed have been moved.
        """


class SqsDeadLetterQueue:
    """Amazon SQS.

    Args:
        url: the address of the dead-letter queue.
        source_url: the address of the worker's own queue.
    """

    def __init__(self, url: str, *, source_url: str) -> None:
        self._url = url
        self._source_url = source_url

    def receive(self, *, limit: int, wait_s: int = 0) -> Iterator[DeadLetter]:
        """Receive in as few requests as SQS allows; only a wait makes SQS ask all of its servers."""
        left = limit
        while left > 0:
            answer = _ask(
                aws.sqs().receive_message,
                QueueUrl=self._url,
                MaxNumberOfMessages=min(left, _MAX_BATCH),
                VisibilityTimeout=HIDDEN_S,
                WaitTimeSeconds=wait_s,
                MessageAttributeNames=["reason"],
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            )
            received: list[MessageTypeDef] = answer.get("Messages", [])
            if not received:
                return
            left -= len(received)
            yield from map(_letter, received)

    def delete(self, letters: Sequence[DeadLetter]) -> None:
        """Delete in batches."""
        for batch in _batches(letters):
            answer = _ask(
                aws.sqs().delete_message_batch,
                QueueUrl=self._url,
                Entries=[{"Id": str(i), "ReceiptHandle": letter.receipt} for i, letter in enumerate(batch)],
            )
            for failed in answer.get("Failed", ()):
                raise DeadLettersError(f"SQS did not delete a message: {failed.get('Message')}")

    def release(self, letters: Sequence[DeadLetter]) -> None:
        """End the letters' visibility timeout. One that has ended by itself needs nothing."""
        for batch in _batches(letters):
            _ask(
                aws.sqs().change_message_visibility_batch,
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(i), "ReceiptHandle": letter.receipt, "VisibilityTimeout": 0}
                    for i, letter in enumerate(batch)
                ],
            )

    def redrive(self, letters: Sequence[DeadLetter]) -> None:
        """Send, then delete: a crash between leaves a message twice, which the claim makes harmless."""
        for letter in letters:
            _ask(aws.sqs().send_message, QueueUrl=self._source_url, MessageBody=letter.body)
            self.delete([letter])


@cache
def get_dead_letters() -> DeadLetterQueue:
    """Return this deployment's dead-letter queue.

    Raises:
        DeadLettersError: none is configured.
    """
    if not settings.REMOTION_SQS_DLQ_URL:
        raise DeadLettersError("There is no dead-letter queue here: set REMOTION_SQS_DLQ_URL to its address.")
    return SqsDeadLetterQueue(settings.REMOTION_SQS_DLQ_URL, source_url=settings.REMOTION_SQS_QUEUE_URL)


def _ask(call: Callable[..., Any], **arguments: Any) -> Any:
    try:
        return call(**arguments)
    except (BotoCoreError, ClientError) as error:
        raise DeadLettersError(str(error)) from error


def _letter(received: "MessageTypeDef") -> DeadLetter:
    message = None
    attribute = received.get("MessageAttributes", {}).get("reason")
    reason = attribute.get("StringValue", "") if attribute else ""
    try:
        message = parse_message(received["Body"])
    except ContractError as error:
        reason = reason or str(error)
    attributes = received["Attributes"]
    return DeadLetter(
        id=received["MessageId"],
        receipt=received["ReceiptHandle"],
        body=received["Body"],
        message=message,
        reason=reason,
        receive_count=int(attributes["ApproximateReceiveCount"]),
        sent_at=datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC),
    )


def _batches(letters: Sequence[DeadLetter]) -> Iterator[Sequence[DeadLetter]]:
    return (letters[i : i + _MAX_BATCH] for i in range(0, len(letters), _MAX_BATCH))

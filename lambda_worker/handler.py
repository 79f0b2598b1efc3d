"""The entry point of the Lambda function: SQS messages in, partial batch failures out."""

import os
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, Protocol

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lambda_worker import contract, render
from lambda_worker.callback import Callback
from lambda_worker.contract import ContractError, Message, StartMessage
from lambda_worker.remotion import Remotion
from lambda_worker.render import Invocation
from lambda_worker.settings import Settings, read_settings
from lambda_worker.telemetry import Metric, count, log

_MAX_REASON_CHARS: Final = 256


class Context(Protocol):
    """What the worker asks of the context that Lambda passes."""

    aws_request_id: str
    memory_limit_in_mb: int

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends this invocation."""


def handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Handle the SQS event of an event source mapping with ``ReportBatchItemFailures``.

    Source of both shapes: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html.
    """
    begun = time.monotonic()
    invocation = Invocation(
        token=context.aws_request_id,
        memory_mb=int(context.memory_limit_in_mb),
        elapsed_s=lambda: time.monotonic() - begun,
        remaining_s=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    return _worker().handle(event, invocation=invocation)


@cache
def _worker() -> "Worker":
    settings = read_settings(os.environ)
    session = Session(region_name=settings.region)
    return Worker(
        settings,
        session=session,
        remotion=Remotion(settings, session=session),
        callback=Callback(secret=settings.webhook_secret),
    )


class Worker:
    """Takes messages, and hands each to its step."""

    def __init__(
        self, settings: Settings, *, session: Session, remotion: Remotion, callback: Callback
    ) -> None:
        self._settings = settings
        self._session = session
        self._remotion = remotion
        self._callback = callback

    def handle(self, event: Mapping[str, Any], *, invocation: Invocation) -> dict[str, Any]:
        """Take each record of the event, and name those that SQS shall keep.

        A render that fails is no failed message: what is kept is a message that can be neither read nor set
        aside, and one on which the worker itself has crashed.
        """
        kept = [
            record["messageId"]
            for record in event["Records"]
            if not self._take(record, invocation=invocation)
        ]
        return {"batchItemFailures": [{"itemIdentifier": id} for id in kept]}

    def _take(self, record: Mapping[str, Any], *, invocation: Invocation) -> bool:
        with log.append_context_keys(message_id=record["messageId"]):
            try:
                message = contract.parse_message(record["body"])
                with log.append_context_keys(
                    correlation_id=message.export_id, export_id=message.export_id, attempt=message.attempt
                ):
                    self._step(message, invocation=invocation)
            except ContractError as error:
                return self._set_aside(record["body"], reason=str(error))
            except Exception:
                # The message comes again, at most twice: a start that had been claimed is skipped then.
                log.exception("worker.crashed")
                count(Metric.CRASHES)
                return False
            return True

    def _step(self, message: Message, *, invocation: Invocation) -> None:
        if isinstance(message, StartMessage):
            render.start(message, invocation=invocation, remotion=self._remotion, callback=self._callback)
        else:
            render.poll(message, invocation=invocation, remotion=self._remotion, callback=self._callback)

    def _set_aside(self, body: str, *, reason: str) -> bool:
        """Put an unreadable message on the dead-letter queue at once, since trying again can't help."""
        reason = reason[:_MAX_REASON_CHARS]
        config = Config(
            connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 3, "mode": "standard"}
        )
        try:
            self._session.client("sqs", region_name=self._settings.region, config=config).send_message(
                QueueUrl=self._settings.dead_letter_queue_url,
                MessageBody=body,
                MessageAttributes={"reason": {"DataType": "String", "StringValue": reason}},
            )
        except (BotoCoreError, ClientError) as error:
            log.error("message.dead_letter_failed", reason=reason, error=type(error).__name__)
            return False
        log.error("message.dead_lettered", reason=reason)
        count(Metric.DEAD_LETTERED)
        return True

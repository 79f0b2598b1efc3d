"""What the worker could not handle, and what that means for the exports concerned."""

from dataclasses import replace
from datetime import datetime

import structlog

from exports import failures
from exports.dead_letters import DeadLetterQueue, DeadLettersError
from exports.queue import MessageQueue
from exports.services.moves import ExportNotFoundError, read
from exports.services.reports import fail_export
from exports.states import Status
from lambda_worker.contract import StartMessage

log = structlog.get_logger(__name__)


def handle_dead_letters(
    *, letters: DeadLetterQueue, queue: MessageQueue, now: datetime, limit: int = 500
) -> int:
    """End the exports whose start messages the worker could not handle, and return how many letters it took.

    A start whose export still waits at its attempt fails that export. Other readable letters have nothing to
    tell any more and are dropped. Unreadable ones stay for a person.

    Args:
        letters: where they lie. Where it can't be reached, that is logged, and the next call looks again.
        queue: takes the messages of those who are next.
        now: the present moment.
        limit: how many letters to look at.
    """
    taken = 0
    unreadable = []
    try:
        for letter in letters.receive(limit=limit):
            if letter.message is None:
                # Hidden until the end of the look, so that the look comes to those behind it.
                unreadable.append(letter)
                continue
            failed = isinstance(letter.message, StartMessage) and _fail(
                letter.message, reason=letter.reason, queue=queue, now=now
            )
            letters.delete([letter])
            taken += 1
            log.info(
                "dead_letter.handled",
                message_id=letter.id,
                action=letter.message.action,
                export_id=letter.message.export_id,
                attempt=letter.message.attempt,
                failed=failed,
            )
        letters.release(unreadable)
    except DeadLettersError as error:
        log.warning("dead_letters.unreachable", error=str(error))
    return taken


def _fail(message: StartMessage, *, reason: str, queue: MessageQueue, now: datetime) -> bool:
    """Fail the export that the message was to start, unless it has moved on; tell whether it was so."""
    failure = failures.UNREADABLE
    if reason:
        failure = replace(failure, cause=f"The worker could not read the export's message: {reason}")
    while True:
        try:
            export = read(message.export_id)
        except ExportNotFoundError:
            return False
        if export.status != Status.PENDING or export.attempt != message.attempt:
            return False
        if fail_export(export, failure=failure, queue=queue, now=now):
            return True

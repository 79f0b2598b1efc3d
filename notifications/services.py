"""What is to be told to users is written down here, and sent when it is due."""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.contrib.auth import get_user_model
from django.db import IntegrityError

from notifications.models import Channel, Delivery
from notifications.transports import Transport, TransportError
from notifications.transports.email import EmailTransport

log = structlog.get_logger(__name__)

TRANSPORTS: Final[Mapping[str, Transport]] = {Channel.EMAIL: EmailTransport()}

LEASE_S: Final = 120
"""How long one try may take: longer than the time-out of any transport."""

MAX_TRIES: Final = 8
"""With the waits between them, about a day."""

_FIRST_WAIT_S: Final = 30
_LONGEST_WAIT_S: Final = 6 * 3600


def notify(*, user_id: Any, kind: str, key: str, context: Mapping[str, Any], now: datetime) -> int:
    """Write one delivery for each channel that reaches the user, and return how many were new.

    Args:
        user_id: who is told.
        kind: what is told; names the templates.
        key: what it is about. However often it is called, each key is told once by each channel.
        context: what the templates are filled with, JSON-ready.
        now: the present moment.
    """
    return sum(
        _write(user_id=user_id, channel=channel, kind=kind, key=key, context=dict(context), now=now)
        for channel in _channels_of(user_id)
    )


def send_due(*, now: datetime, transports: Mapping[str, Transport] = TRANSPORTS, limit: int = 100) -> int:
    """Send what is due, and return how many deliveries this call took on.

    Each is claimed by a conditional update, so any number of sweepers may run at once. One that is killed
    while it sends leaves a delivery that is sent again when its lease is over.

    Args:
        now: the present moment.
        transports: how to send, by channel.
        limit: how many to look at.
    """
    taken = 0
    for delivery in Delivery.objects.due(now).select_related("user")[:limit]:
        claimed = Delivery.objects.filter(
            pk=delivery.pk, status=Delivery.Status.PENDING, due_at=delivery.due_at, tries=delivery.tries
        ).update(due_at=now + timedelta(seconds=LEASE_S), tries=delivery.tries + 1)
        if claimed:
            taken += 1
            delivery.tries += 1
            _send(delivery, transports[delivery.channel], now=now)
    return taken


def send_again(*, delivery_id: UUID, now: datetime) -> bool:
    """Make a delivery that has been given up due now, because a person asks for it; tell whether it was so.

    Its tries go on counting. So it has what is left of them, and one at the least.
    """
    again = Delivery.objects.filter(pk=delivery_id, status=Delivery.Status.FAILED).update(
        status=Delivery.Status.PENDING, due_at=now
    )
    if again:
        log.info("delivery.again", delivery_id=str(delivery_id))
    return bool(again)


def _channels_of(user_id: Any) -> list[str]:
    """Return the channels that reach a user: e-mail, where the account has an address."""
    has_email = get_user_model().objects.filter(pk=user_id).exclude(email="").exists()
    return [Channel.EMAIL] if has_email else []


def _write(*, channel: str, key: str, now: datetime, **columns: Any) -> bool:
    if Delivery.objects.filter(key=key, channel=channel).exists():
        return False
    try:
        Delivery.objects.create(channel=channel, key=key, created_at=now, due_at=now, **columns)
    except IntegrityError:
        # Somebody else wrote it in between.
        return False
    return True


def _send(delivery: Delivery, transport: Transport, *, now: datetime) -> None:
    try:
        _hand_over(delivery, transport)
    except TransportError as error:
        given_up = error.permanent or delivery.tries >= MAX_TRIES
        log.warning(
            "delivery.failed",
            delivery_id=str(delivery.pk),
            channel=delivery.channel,
            tries=delivery.tries,
            given_up=given_up,
            reason=str(error),
        )
        _settle(
            delivery,
            status=Delivery.Status.FAILED if given_up else Delivery.Status.PENDING,
            due_at=None if given_up else now + _wait(delivery.tries),
            error=str(error)[:500],
        )
    else:
        log.info("delivery.sent", delivery_id=str(delivery.pk), channel=delivery.channel)
        _settle(delivery, status=Delivery.Status.SENT, due_at=None, sent_at=now, error="")


def _hand_over(delivery: Delivery, transport: Transport) -> None:
    """Send it, with every failure told as a TransportError.

    Raises:
        TransportError: it was not sent.
    """
    try:
        transport.send(delivery)
    except TransportError:
        raise
    except Exception as error:
        # A fault of ours, most likely in a template. The others are sent all the same.
        log.exception("delivery.crashed", delivery_id=str(delivery.pk), kind=delivery.kind)
        raise TransportError(f"{type(error).__name__}: {error}", permanent=False) from error


def _settle(delivery: Delivery, **columns: Any) -> None:
    # The number of tries is the claim: one whose lease has run out may say nothing any more.
    Delivery.objects.filter(pk=delivery.pk, tries=delivery.tries).update(**columns)


def _wait(tries: int) -> timedelta:
    seconds = min(_FIRST_WAIT_S * 4 ** (tries - 1), _LONGEST_WAIT_S)
    # Spread, so that what failed together does not come back together.
    return timedelta(seconds=seconds * random.uniform(0.75, 1.25))  # noqa: S311  # no secret

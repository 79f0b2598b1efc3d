"""The ways to a user: each a module with a class that sends one delivery."""

from typing import Protocol

from notifications.models import Delivery


class TransportError(Exception):
    """A delivery could not be sent; the text says why.

    Attributes:
        permanent: whether trying again is useless.
    """

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class Transport(Protocol):
    """Sends deliveries by one channel."""

    def send(self, delivery: Delivery) -> None:
        """Send it.

        Raises:
            TransportError: it was not sent.
        """

"""Typed reading of the environment, with errors that name the variable and the mend."""

import os
import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

Number = TypeVar("Number", int, float)

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})

# As django-ratelimit writes it: 10/m, 100/5m, 1000/h.
_RATE: Final = re.compile(r"([1-9]\d{0,8})/([1-9]\d{0,3})?([smhd])")
_PERIODS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_MAIL_BACKENDS: Final = {"smtp": "smtp", "smtps": "smtp", "console": "console", "file": "filebased"}
_MAIL_TIMEOUT_S: Final = 20


class Environment:
    """Reads variables by name. An empty variable counts as unset.

    Args:
        variables: where to read from; the process's own environment by default.
    """

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables = os.environ if variables is None else variables

    def text(self, name: str, default: str = "") -> str:
        """Return the variable as it stands."""
        return self._variables.get(name, "").strip() or default

    def required(self, name: str, hint: str) -> str:
        """Return a variable that has no safe default.

        Raises:
            ImproperlyConfigured: it is unset; ``hint`` says what to set it to.
        """
        value = self.text(name)
        if not value:
            raise ImproperlyConfigured(f"{name} must be set where DEBUG is off: {hint}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Return a switch: 1, true, yes, on or 0, false, no, off."""
        value = self.text(name).lower()
        if not value:
            return default
        if value not in _TRUE | _FALSE:
            raise ImproperlyConfigured(f"{name} is {value!r}; set it to 1 or 0")
        return value in _TRUE

    def integer(self, name: str, default: int, *, minimum: int = 0) -> int:
        """Return a whole number that is at least ``minimum``."""
        return self._number(name, default, minimum, int, "a whole number")

    def seconds(self, name: str, default: float, *, minimum: float = 0) -> float:
        """Return a time span in seconds, fractions allowed."""
        return self._number(name, default, minimum, float, "a number of seconds")

    def items(self, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return a comma-separated list, without empty items."""
        parts = tuple(part.strip() for part in self.text(name).split(",") if part.strip())
        return parts or default

    def rate(self, name: str, default: str) -> tuple[int, int]:
        """Return how often, and in how many seconds: ``10/m``, ``100/5m``, ``1000/h``."""
        value = self.text(name, default)
        found = _RATE.fullmatch(value)
        if found is None:
            raise ImproperlyConfigured(
                f"{name} is {value!r}; set it to a number and a time span, as 10/m, 100/5m or 1000/h"
            )
        return int(found[1]), int(found[2] or 1) * _PERIODS_S[found[3]]

    def networks(self, name: str) -> tuple[IPv4Network | IPv6Network, ...]:
        """Return a comma-separated list of networks in CIDR notation, or single addresses."""
        found = []
        for item in self.items(name):
            try:
                found.append(ip_network(item))
            except ValueError as error:
                raise ImproperlyConfigured(
                    f"{name} has {item!r} ({error}); list networks, as 10.0.0.0/16,2001:db8::/32"
                ) from None
        return tuple(found)

    def email(self, name: str, default: str = "") -> dict[str, Any]:
        """Return Django's mail settings from one URL.

        ``smtp://user:password@host:587`` (with STARTTLS, unless ``?starttls=0``),
        ``smtps://user:password@host:465``, ``console:`` or ``file:///folder``; ``?from=`` gives the sender.
        User and password are percent-encoded.
        """
        value = default if not self.text(name) else self.text(name)
        # Without the value, which may hold a password.
        refusal = ImproperlyConfigured(
            f"{name} must be smtp://user:password@host:587, smtps://…:465, console: or file:///folder, "
            "with user and password percent-encoded"
        )
        try:
            url = urlsplit(value)
            port = url.port
        except ValueError:
            raise refusal from None
        query = dict(parse_qsl(url.query))
        backend = _MAIL_BACKENDS.get(url.scheme)
        if backend is None or (url.scheme.startswith("smtp") and not url.hostname):
            raise refusal
        found: dict[str, Any] = {"EMAIL_BACKEND": f"django.core.mail.backends.{backend}.EmailBackend"}
        if "from" in query:
            found["DEFAULT_FROM_EMAIL"] = query["from"]
        if backend == "filebased":
            found["EMAIL_FILE_PATH"] = url.path
        if backend == "smtp":
            found |= {
                "EMAIL_HOST": url.hostname,
                "EMAIL_PORT": port or (465 if url.scheme == "smtps" else 587),
                "EMAIL_HOST_USER": unquote(url.username or ""),
                "EMAIL_HOST_PASSWORD": unquote(url.password or ""),
                "EMAIL_USE_SSL": url.scheme == "smtps",
                "EMAIL_USE_TLS": url.scheme == "smtp" and query.get("starttls") != "0",
                "EMAIL_TIMEOUT": _MAIL_TIMEOUT_S,
            }
        return found

    def _number(
        self, name: str, default: Number, minimum: Number, kind: Callable[[str], Number], what: str
    ) -> Number:
        value = self.text(name)
        if not value:
            return default
        try:
            number = kind(value)
        except ValueError:
            raise ImproperlyConfigured(f"{name} is {value!r}; set it to {what}") from None
        # Written so that a NaN is refused too.
        if not number >= minimum:
            raise ImproperlyConfigured(f"{name} is {value}; the least it can be is {minimum}")
        return number

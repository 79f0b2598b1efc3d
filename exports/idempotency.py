"""The header ``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header): asked twice, done once.

A key is a column of what it made, so that both are written at one moment.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from exports.models import User

KEPT: Final = timedelta(hours=24)
"""How long a key is remembered."""

MAX_CHARS: Final = 255

IN_USE: Final = "The same request is being carried out, or was just given up. Send it again in a moment."

REUSED: Final = (
    "This Idempotency-Key was used for another request. Repeat that request as it was, or send a new key."
)

# Visible ASCII, bare or as a string of RFC 8941, in which a backslash stands before quotes and backslashes.
_BARE: Final = re.compile(r'(?!")[!-~]+')
_QUOTED: Final = re.compile(r'"((?:[!#-\[\]-~]|\\["\\])+)"')
_ESCAPED: Final = re.compile(r"\\(.)")


class InvalidKeyError(Exception):
    """The header holds no key."""


class KeyReusedError(Exception):
    """The key has been used for another request."""


class KeyInUseError(Exception):
    """A repetition of the request is being carried out, and what it makes is not known yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """A key of one user, and the request that it stands for.

    Attributes:
        stored: the key as it is stored: of one user, and of bounded length whatever was sent.
        request_hash: what tells this request from others under the same key.
    """

    stored: str
    request_hash: str

    def check(self, request_hash: str) -> None:
        """Make sure that what was found under this key was made by the same request.

        Raises:
            KeyReusedError: it was made by another one.
        """
        if request_hash != self.request_hash:
            raise KeyReusedError(REUSED)

    def columns(self, *, now: datetime) -> dict[str, Any]:
        """Return what a row that is made under this key holds of it."""
        return {
            "idempotency_key": self.stored,
            "request_hash": self.request_hash,
            "key_expires_at": now + KEPT,
        }


FORGOTTEN: Final[dict[str, Any]] = {"idempotency_key": None, "key_expires_at": None}
"""What a row holds once its key is forgotten."""


def read_key(header: str | None, *, user: User, request: Any) -> IdempotencyKey | None:
    """Return the key of a request; ``None`` where it has none.

    Args:
        header: the header's value as it came, ``None`` where there was none.
        user: who asks.
        request: what is asked, JSON-ready: two requests with one key must be alike in it.

    Raises:
        InvalidKeyError: the header holds no key.
    """
    if header is None:
        return None
    key = header.strip(" \t")
    if quoted := _QUOTED.fullmatch(key):
        key = _ESCAPED.sub(r"\1", quoted[1])
    elif not _BARE.fullmatch(key):
        key = ""
    if not 1 <= len(key) <= MAX_CHARS:
        raise InvalidKeyError(
            f"An Idempotency-Key is 1 to {MAX_CHARS} visible ASCII characters without spaces, bare or in "
            "quotation marks. A UUID does."
        )
    canonical = json.dumps(request, sort_keys=True, separators=(",", ":"))
    return IdempotencyKey(
        stored=f"{user.pk}:{hashlib.sha256(key.encode()).hexdigest()}",
        request_hash=hashlib.sha256(canonical.encode()).hexdigest(),
    )

"""HMAC signatures of the webhooks, shared by those who send them and the view that receives them.

Two schemes come to the same address:

* ours: hex HMAC-SHA256 of the raw body, bare or prefixed ``sha256=``; the body carries a ``timestamp``.
* Remotion's own: hex HMAC-SHA512 of the raw body, prefixed ``sha512=``, with neither timestamp nor event id
  (https://www.remotion.dev/docs/lambda/webhooks).

HMAC is RFC 2104. The standard library alone is used here, so that the worker stays small.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

HEADER: Final = "X-Remotion-Signature"
MODE_HEADER: Final = "X-Remotion-Mode"

MAX_AGE_S: Final = 300
"""How far a signed ``timestamp`` may lie from the receiver's clock, in seconds, in either direction."""

_HEX = re.compile(r"[0-9a-fA-F]+", re.ASCII)


class Scheme(StrEnum):
    """The hash that a signature was made with, which also tells who signed."""

    WORKER = "sha256"
    REMOTION = "sha512"


class SignatureError(Exception):
    """A webhook isn't proven to come from a holder of a shared secret; the text names the reason."""


def sign(body: bytes, *, secret: str, scheme: Scheme = Scheme.WORKER) -> str:
    """Return the header's value for ``body``: the scheme's name, ``=``, and the HMAC in lower-case hex."""
    return f"{scheme}={_digest(body, secret, scheme)}"


def verify(body: bytes, header: str | None, *, secrets: Sequence[str]) -> Scheme:
    """Return the scheme under which ``header`` signs ``body`` with one of ``secrets``.

    Several secrets are accepted at once, so that they can be rotated. Every comparison takes constant time,
    and all secrets are tried whichever fits.

    Raises:
        SignatureError: no header, one of an unknown form, or one that no secret explains.
    """
    if not header:
        raise SignatureError(f"the header {HEADER} is missing")
    name, separator, digest = header.strip().rpartition("=")
    try:
        scheme = Scheme(name) if separator else Scheme.WORKER
    except ValueError:
        raise SignatureError(f"{HEADER} is neither sha256= nor sha512=") from None
    if not _HEX.fullmatch(digest):
        raise SignatureError(f"{HEADER} carries no hexadecimal digest")
    given = digest.lower()
    matches = [hmac.compare_digest(given, _digest(body, secret, scheme)) for secret in secrets if secret]
    if not any(matches):
        raise SignatureError("the signature does not belong to this body and any of the shared secrets")
    return scheme


def check_age(timestamp: float, *, now: float) -> None:
    """Refuse a signed ``timestamp`` (Unix seconds) that is more than :data:`MAX_AGE_S` from ``now``.

    Raises:
        SignatureError: the webhook is too old, or comes from a clock that runs ahead.
    """
    # Written so that a NaN is refused too.
    if not abs(now - timestamp) <= MAX_AGE_S:
        raise SignatureError(f"the timestamp is more than {MAX_AGE_S} seconds from this server's clock")


def _digest(body: bytes, secret: str, scheme: Scheme) -> str:
    return hmac.new(secret.encode(), body, getattr(hashlib, scheme.value)).hexdigest()

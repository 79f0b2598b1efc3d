"""Primary keys of our own models: UUIDs of version 7, ordered by time (RFC 9562, section 5.7)."""

import hashlib
import itertools
import os
import random
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

# Begins anywhere in its lower half: processes don't count alike, and it has room to rise.
_counter = itertools.count(random.SystemRandom().getrandbits(41))


def uuid7(at: datetime | None = None) -> uuid.UUID:
    """Return a UUID of this millisecond, or of that of ``at``.

    Those that one process makes of one millisecond are ordered as they were made: a counter of 42 bits
    follows the time (RFC 9562, section 6.2, method 1), and 32 random bits follow that.
    """
    milliseconds = time.time_ns() // 1_000_000 if at is None else (at - _EPOCH) // _MILLISECOND
    count = next(_counter) & (1 << 42) - 1
    value = milliseconds << 80 | 0x7 << 76 | count >> 30 << 64 | 0x2 << 62 | (count & (1 << 30) - 1) << 32
    return uuid.UUID(int=value | int.from_bytes(os.urandom(4), "big"))


def first_uuid7(since: datetime) -> uuid.UUID:
    """Return what all UUIDs made at ``since`` or later, to the millisecond, are not below."""
    # Rounded up: what has the millisecond of a moment inside it, was made before it.
    milliseconds = -((_EPOCH - since) // _MILLISECOND)
    return uuid.UUID(int=max(milliseconds, 0) << 80)


def row_id(batch_id: uuid.UUID, row: int) -> uuid.UUID:
    """Return the UUID of one row of a batch: always the same, of the batch's moment, in the rows' order.

    Args:
        batch_id: a UUID of version 7.
        row: below 4096; it takes the place of the first random bits.
    """
    rest = hashlib.sha256(batch_id.bytes + row.to_bytes(2, "big")).digest()[:8]
    return _version_7((batch_id.int >> 80 << 80) | (row << 64) | int.from_bytes(rest, "big"))


def _version_7(value: int) -> uuid.UUID:
    value &= ~(0xF << 76) & ~(0x3 << 62)
    return uuid.UUID(int=value | (0x7 << 76) | (0x2 << 62))

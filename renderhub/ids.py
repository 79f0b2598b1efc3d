"""Primary keys of our own models: UUIDs of version 7, ordered by time (RFC 9562, section 5.7)."""

import hashlib
import os
import time
import uuid


def uuid7() -> uuid.UUID:
    """Return a UUID whose first 48 bits are the Unix time in milliseconds and the rest random."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    return _version_7(value)


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

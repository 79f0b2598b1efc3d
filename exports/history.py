"""A user's exports, newest first and by what they have in common, a page at a time.

Each page begins where the one before ended (keyset pagination): at the key of its last export, which is a
UUIDv7, so that the order of keys is that of creation. No page costs more the deeper it lies.

Each filter has an index of its own that holds the keys in that order. Several filters are read side by side,
a chunk of keys at a time, and what is in all of them is the answer: so whichever is the rarest decides how
much is read, which no database could know of all of them.
"""

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet

from exports.models import ExportRequest, MetadataPair, User
from exports.states import Status
from renderhub.ids import first_uuid7

_CHUNK: Final = 500
"""How many keys of each filter are read at once where there are several."""

_MOST_CHUNKS: Final = 20
"""After how many chunks a page is handed out as it is: what one request costs has a bound."""

_SHOWN: Final = (
    "id",
    "project_id",
    "title",
    "composition_id",
    "codec",
    "metadata",
    "status",
    "progress",
    "attempt",
    "error_message",
    "output_size_bytes",
    "created_at",
    "completed_at",
    "version",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What exports must have in common; a filter that isn't set asks for nothing.

    Attributes:
        statuses: one of these statuses.
        project_id: this project.
        codec: this codec.
        metadata: all of these pairs.
        created_after: created at this moment or later, to the millisecond.
        created_before: created before this moment, to the millisecond.
    """

    statuses: frozenset[Status] = frozenset()
    project_id: UUID | None = None
    codec: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some exports, newest first.

    Attributes:
        rows: the exports.
        beyond: where the next page goes on in the same direction; ``None`` where nothing is left.
    """

    rows: list[ExportRequest]
    beyond: UUID | None


class History:
    """The exports of a user that filters let through.

    Args:
        user: whose exports.
        filters: what they must have in common.
    """

    def __init__(self, user: User, filters: Filters) -> None:
        owner: Any = user.pk
        # Of the keys alone, which an index holds: what else nobody may see is left out with the rows.
        own = ExportRequest.objects.filter(user_id=owner, deleted__in=(False,))
        columns: dict[str, Any] = {"project_id": filters.project_id, "codec": filters.codec}
        columns = {name: value for name, value in columns.items() if value is not None}
        self._indexes = [_Index([own.filter(**{name: value})], "id") for name, value in columns.items()]
        if filters.statuses:
            # One look for each status: the keys of several lie in no order in their index.
            looks = [own.filter(status=status) for status in sorted(filters.statuses)]
            self._indexes.append(_Index(looks, "id"))
            columns["status__in"] = filters.statuses
        for key, value in filters.metadata.items():
            pairs = MetadataPair.objects.filter(user_id=owner, key=key, value=value)
            self._indexes.append(_Index([pairs], "export_id"))
        self._indexes = self._indexes or [_Index([own], "id")]
        self._rows = ExportRequest.objects.visible_to(user).filter(**columns)
        after, before = filters.created_after, filters.created_before
        self._least = None if after is None else first_uuid7(after)
        self._end = None if before is None else first_uuid7(before)

    def page(self, *, beyond: UUID | None = None, newer: bool = False, limit: int) -> Page:
        """Return up to ``limit`` exports, in a number of queries that has a bound.

        There may be fewer although more are left, even none: where several filters have hardly an export in
        common, a page ends when enough was looked at.

        Args:
            beyond: the key beyond which the page begins; ``None``: at the newest.
            newer: whether it holds what is newer than that key, or what is older.
            limit: how many exports it holds at the most.
        """
        keys, more = self._keys(beyond, newer, limit)
        # Asked for the filters again: in between one may have moved on, or have been deleted.
        found = self._rows.filter(pk__in=keys).only(*_SHOWN) if keys else ()
        return Page(rows=sorted(found, key=lambda row: row.pk, reverse=True), beyond=more)

    def chunks(self, size: int) -> Iterator[list[ExportRequest]]:
        """Yield all exports, up to ``size`` at a time."""
        page = self.page(limit=size)
        yield page.rows
        while page.beyond is not None:
            page = self.page(beyond=page.beyond, limit=size)
            yield page.rows

    def _keys(self, beyond: UUID | None, newer: bool, limit: int) -> tuple[list[UUID], UUID | None]:
        """Return the keys of a page in the order in which it is read, and where the next one begins."""
        size = limit + 1 if len(self._indexes) == 1 else _CHUNK
        keys: list[UUID] = []
        for _ in range(_MOST_CHUNKS):
            span = self._span(beyond, newer)
            chunks = [index.read(span, newer=newer, limit=size) for index in self._indexes]
            fewest = min(chunks, key=len)
            if len(fewest) < size:
                # All that are left of this filter: the others need only tell which of these they hold.
                rarest = self._indexes[chunks.index(fewest)]
                others = [index for index in self._indexes if index is not rarest]
                common = set(fewest).intersection(*(index.holds(fewest) for index in others))
                keys += [key for key in fewest if key in common]
                beyond = None
                break
            beyond = (min if newer else max)(chunk[-1] for chunk in chunks)
            common = set(chunks[0]).intersection(*chunks[1:])
            keys += [key for key in chunks[0] if key in common]
            if len(keys) > limit:
                break
        return (keys[:limit], keys[limit - 1]) if len(keys) > limit else (keys, beyond)

    def _span(self, beyond: UUID | None, newer: bool) -> dict[str, UUID]:
        # One bound on each side: given two, SQLite may seek to the wrong one and read up to the other.
        least, end = self._least, self._end
        if beyond is not None and newer:
            least = max(least or beyond, UUID(int=beyond.int + 1))
        elif beyond is not None:
            end = min(end or beyond, beyond)
        bounds = {"gte": least, "lt": end}
        return {name: bound for name, bound in bounds.items() if bound is not None}


@dataclass(frozen=True, slots=True)
class _Index:
    """Keys in order, as the indexes of some queries hold them.

    Attributes:
        looks: the queries, no two of which hold the same key.
        key: the field of theirs that holds the export's key.
    """

    looks: Sequence[QuerySet[Any]]
    key: str

    def read(self, span: Mapping[str, UUID], *, newer: bool, limit: int) -> list[UUID]:
        bounds = {f"{self.key}__{name}": bound for name, bound in span.items()}
        order = self.key if newer else f"-{self.key}"
        found = [
            look.filter(**bounds).order_by(order).values_list(self.key, flat=True)[:limit]
            for look in self.looks
        ]
        return list(islice(heapq.merge(*found, reverse=not newer), limit))

    def holds(self, keys: Collection[UUID]) -> set[UUID]:
        if not keys:
            return set()
        found: set[UUID] = set()
        for look in self.looks:
            found.update(look.filter(**{f"{self.key}__in": keys}).values_list(self.key, flat=True))
        return found

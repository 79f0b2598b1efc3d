"""Lists, a page at a time: cursors, links and page sizes."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.utils.urls import replace_query_param

from exports.serializers.queries import invalid_query


class Page(Protocol):
    """Some rows, newest first, and the key beyond which there are more."""

    @property
    def rows(self) -> list[Any]:
        """Return the rows, each with an ``id``."""

    @property
    def beyond(self) -> UUID | None:
        """Return where the next page goes on in the same direction; ``None`` where nothing is left."""


class Pages(Protocol):
    """Rows whose keys are UUIDv7, so that their order is that of time."""

    def page(self, *, beyond: UUID | None, newer: bool, limit: int) -> Page:
        """Return up to ``limit`` of the rows that are older, or newer, than ``beyond``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    rows: list[Any]
    beyond: UUID | None


class _AllOf:
    """The pages of a queryset."""

    def __init__(self, queryset: QuerySet[Any]) -> None:
        self._queryset = queryset

    def page(self, *, beyond: UUID | None, newer: bool, limit: int) -> Page:
        """Return a page, in one query."""
        found = self._queryset.order_by("id" if newer else "-id")
        if beyond is not None:
            found = found.filter(**{"id__gt" if newer else "id__lt": beyond})
        rows = list(found[: limit + 1])
        last = rows[limit - 1].pk if len(rows) > limit else None
        return _Rows(rows=sorted(rows[:limit], key=lambda row: row.pk, reverse=True), beyond=last)


_OLDER: Final = b"o"
_NEWER: Final = b"n"


class NewestFirst(CursorPagination):
    """Pages that stay put while new rows come in.

    A page is found by the key that it begins at. Django REST framework's own cursors would do so too, but
    for the first page that they go back to when what was before it is gone, and take any text for a key.
    """

    page_size = 20
    max_page_size = 100
    page_size_query_param = "pageSize"
    page_size_query_description = "How many a page holds: 1 to 100."
    cursor_query_description = "Where the page begins: what an answer's `next` and `previous` hold."
    ordering = "-id"

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Return the rows of the page that the request asks for.

        Args:
            queryset: a queryset, or other :class:`Pages`.
            request: its query may hold ``cursor`` and ``pageSize``.
            view: unused.

        Raises:
            Problem: either of the two is not what it must be.
        """
        pages: Pages = _AllOf(queryset) if isinstance(queryset, QuerySet) else queryset
        self.request = request
        self._url = request.build_absolute_uri()
        self._beyond, self._newer = self._read_cursor(request.query_params)
        page = pages.page(beyond=self._beyond, newer=self._newer, limit=self._read_size(request.query_params))
        self._page = page
        return page.rows

    def get_next_link(self) -> str | None:
        """Return the address of the next older page."""
        if not self._newer:
            return self._link(_OLDER, self._page.beyond)
        return self._link(_OLDER, self._page.rows[-1].pk if self._page.rows else _shifted(self._beyond, 1))

    def get_previous_link(self) -> str | None:
        """Return the address of the next newer page."""
        if self._newer:
            return self._link(_NEWER, self._page.beyond)
        if self._beyond is None:
            return None
        return self._link(_NEWER, self._page.rows[0].pk if self._page.rows else _shifted(self._beyond, -1))

    def _link(self, direction: bytes, key: UUID | None) -> str | None:
        if key is None:
            return None
        cursor = base64.urlsafe_b64encode(direction + key.bytes).decode().rstrip("=")
        return replace_query_param(self._url, self.cursor_query_param, cursor)

    def _read_cursor(self, params: Mapping[str, str]) -> tuple[UUID | None, bool]:
        cursor = params.get(self.cursor_query_param, "")
        if not cursor:
            return None, False
        try:
            decoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            key = UUID(bytes=decoded[1:])
        except (binascii.Error, ValueError):
            decoded, key = b"", UUID(int=0)
        if decoded[:1] not in (_OLDER, _NEWER) or key.version != 7:
            raise invalid_query(
                [
                    (
                        "cursor",
                        "This is no cursor: take the address in next or previous, or leave it out.",
                    )
                ]
            )
        return key, decoded[:1] == _NEWER

    def _read_size(self, params: Mapping[str, str]) -> int:
        size = params.get(self.page_size_query_param, str(self.page_size))
        if size.isascii() and size.isdecimal() and 1 <= int(size[:9]) <= self.max_page_size:
            return int(size)
        raise invalid_query([("pageSize", f"A page holds 1 to {self.max_page_size}.")])


def _shifted(key: UUID | None, by: int) -> UUID | None:
    """Return the key beside this one, so that this one lies beyond it."""
    return None if key is None else UUID(int=key.int + by)

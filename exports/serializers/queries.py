"""What the query of a request may say, and how it is refused."""

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, time
from http import HTTPStatus
from typing import Final
from uuid import UUID

from django.http import QueryDict
from django.utils.dateparse import parse_date, parse_datetime

from exports.history import Filters
from exports.models import Codec
from exports.serializers.fields import metadata_errors
from exports.states import Status
from renderhub.problems import Problem

_NAMES: Final = ("status", "projectId", "codec", "metadata[key]", "createdAfter", "createdBefore")
_MOMENT: Final = (
    "It is a date or a moment in ISO 8601, like 2026-01-02 or 2026-01-02T03:04:05Z; a + is written %2B."
)
_PAIR: Final = re.compile(r"metadata\[(.*)\]", re.DOTALL)


def invalid_query(errors: Iterable[tuple[str, str]]) -> Problem:
    """Return the problem of a query that can't be answered.

    Args:
        errors: each with the name of its parameter, and a sentence.
    """
    listed = [{"parameter": name, "detail": detail} for name, detail in errors]
    detail = "The query is not valid; errors says where."
    return Problem(HTTPStatus.BAD_REQUEST, "invalid-query", detail, errors=listed)


def filters_of(params: QueryDict, *, besides: Collection[str] = ()) -> Filters:
    """Return the filters that a query asks for.

    Args:
        params: the query.
        besides: the parameters that are no filters.

    Raises:
        Problem: one is not known, or is not what it must be. A misspelt filter must not let through all.
    """
    read = _Reader(params)
    metadata = {}
    for name in params:
        pair = _PAIR.fullmatch(name)
        if pair is not None:
            metadata[pair[1]] = read.one(name) or ""
        elif name not in _NAMES and name not in besides:
            read.errors.append((name, f"There is no such filter; there are {', '.join(_NAMES)}."))
    read.errors += [(f"metadata[{key}]", detail) for key, detail in metadata_errors(metadata)]
    filters = Filters(
        statuses=read.statuses("status"),
        project_id=read.uuid("projectId"),
        codec=read.choice("codec", Codec.values),
        metadata=metadata,
        created_after=read.moment("createdAfter"),
        created_before=read.moment("createdBefore"),
    )
    if read.errors:
        raise invalid_query(read.errors)
    return filters


class _Reader:
    """Reads parameters one by one, and gathers what is wrong with them."""

    def __init__(self, params: QueryDict) -> None:
        self._params = params
        self.errors: list[tuple[str, str]] = []

    def one(self, name: str) -> str | None:
        values = self._params.getlist(name)
        if len(values) > 1:
            self.errors.append((name, "It stands in the query more than once; an export has one only."))
        return str(values[0]) if values else None

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        value = self.one(name)
        if value is not None and value not in choices:
            self.errors.append((name, f"It is one of {', '.join(choices)}."))
        return value

    def statuses(self, name: str) -> frozenset[Status]:
        asked = {part for value in self._params.getlist(name) for part in str(value).split(",")}
        if not asked <= set(Status.values):
            self.errors.append((name, f"It is one of {', '.join(Status.values)}, or several, with commas."))
            return frozenset()
        # All of them are no filter.
        return frozenset() if len(asked) == len(Status) else frozenset(map(Status, asked))

    def uuid(self, name: str) -> UUID | None:
        value = self.one(name)
        try:
            return None if value is None else UUID(value)
        except ValueError:
            self.errors.append((name, "It is a project's projectId, which is a UUID."))
            return None

    def moment(self, name: str) -> datetime | None:
        value = self.one(name)
        if value is None:
            return None
        try:
            moment = parse_datetime(value)
            if moment is None and (day := parse_date(value)):
                moment = datetime.combine(day, time())
        except ValueError:
            moment = None
        if moment is None:
            self.errors.append(
                (
                    name,
                    _MOMENT,
                )
            )
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

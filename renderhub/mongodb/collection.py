"""Collections that tell as Django's other engines do that the server is away: by OperationalError.

The backend tells nothing but DatabaseError, which is also what a fault of a query is; and nothing of Django's
where it reads on.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, Final, ParamSpec, TypeVar

from django.db import OperationalError
from pymongo import collection
from pymongo.command_cursor import CommandCursor
from pymongo.errors import ConnectionFailure, ExecutionTimeout, WTimeoutError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# The last of them: a write that may not outlast the loss of the primary.
_AWAY: Final = (ConnectionFailure, ExecutionTimeout, WTimeoutError)


def _telling(call: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    @functools.wraps(call)
    def told(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return call(*args, **kwargs)
        except _AWAY as error:
            raise OperationalError(str(error)) from error

    return told


class Rows:
    """What a query has found, some of which may still have to be read from the server."""

    def __init__(self, cursor: CommandCursor[Any]) -> None:
        self._cursor = cursor

    def __iter__(self) -> Iterator[Any]:
        return self

    @_telling
    def __next__(self) -> Any:
        return next(self._cursor)

    def next(self) -> Any:
        """Return the next row.

        Raises:
            StopIteration: there is none.
            OperationalError: the server can't be reached.
        """
        return next(self)


class Collection(collection.Collection[Any]):
    """A collection, as the backend uses it."""

    @_telling
    def aggregate(self, *args: Any, **kwargs: Any) -> Any:
        """Run a pipeline."""
        return Rows(super().aggregate(*args, **kwargs))

    @_telling
    def insert_many(self, *args: Any, **kwargs: Any) -> Any:
        """Insert documents."""
        return super().insert_many(*args, **kwargs)

    @_telling
    def update_many(self, *args: Any, **kwargs: Any) -> Any:
        """Update what a filter finds."""
        return super().update_many(*args, **kwargs)

    @_telling
    def delete_many(self, *args: Any, **kwargs: Any) -> Any:
        """Delete what a filter finds."""
        return super().delete_many(*args, **kwargs)

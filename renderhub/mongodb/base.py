"""The database engine: MongoDB's own backend, with unique indexes that its queries can use.

It tells as Django's other engines do that the server is away: by OperationalError. The backend tells nothing
but DatabaseError, which is also what a fault of a query is, and nothing of Django's where it reads on.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, Final, ParamSpec, TypeVar

import pymongo
from django.db import OperationalError
from django.utils.asyncio import async_unsafe
from django_mongodb_backend import base
from django_mongodb_backend.introspection import DatabaseIntrospection as BaseIntrospection
from django_mongodb_backend.query import wrap_database_errors
from django_mongodb_backend.utils import OperationDebugWrapper
from pymongo import collection
from pymongo.command_cursor import CommandCursor
from pymongo.errors import ConnectionFailure, ExecutionTimeout, PyMongoError, WTimeoutError

from renderhub.mongodb.schema import DatabaseSchemaEditor

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_PING_S: Final = 1.0
"""How long a server may take to say that it is there."""

# The last of them: a write that may or may not outlast the loss of the primary.
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
    """A collection, whose calls raise OperationalError where the server can't be reached."""

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


class DatabaseIntrospection(BaseIntrospection):  # type: ignore[misc]  # the backend has no types
    """MongoDB's own, telling that the server is away as Django's other engines do."""

    @wrap_database_errors  # type: ignore[untyped-decorator]
    def table_names(self, cursor: Any = None, include_views: bool = False) -> list[str]:
        """Return the names of the collections.

        Raises:
            DatabaseError: the server can't be reached.
        """
        names: list[str] = super().table_names(cursor, include_views)
        return names


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]  # the backend has no types
    """MongoDB's own backend, with our own schema editor and introspection."""

    SchemaEditorClass = DatabaseSchemaEditor
    introspection_class = DatabaseIntrospection
    collection_class: type[Collection] = Collection

    def get_collection(self, name: str, **kwargs: Any) -> Any:
        """Return a collection."""
        found = self.collection_class(self.database, name, **kwargs)
        return OperationDebugWrapper(self, found) if self.queries_logged else found

    @async_unsafe
    def is_usable(self) -> bool:
        """Tell whether the server answers, sooner than a query would find out that it doesn't."""
        try:
            with pymongo.timeout(_PING_S):
                self.database.command("ping")
        except PyMongoError:
            return False
        return True

"""The database engine: MongoDB's own backend, with queries and unique indexes that fit each other."""

from typing import Any, Final

import pymongo
from bson import DBRef
from django.utils.asyncio import async_unsafe
from django_mongodb_backend import base, operations
from django_mongodb_backend.introspection import DatabaseIntrospection as BaseIntrospection
from django_mongodb_backend.query import wrap_database_errors
from django_mongodb_backend.utils import OperationDebugWrapper
from pymongo.errors import PyMongoError

from renderhub.mongodb.collection import Collection
from renderhub.mongodb.schema import DatabaseSchemaEditor

_PING_S: Final = 1.0
"""How long a server may take to say that it is there."""


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


class DatabaseOperations(operations.DatabaseOperations):  # type: ignore[misc]  # the backend has no types
    """MongoDB's own backend, with our compiler."""

    compiler_module = "renderhub.mongodb.compiler"

    def get_db_converters(self, expression: Any) -> list[Any]:
        """Return what makes Python's values of those that pymongo has read."""
        converters: list[Any] = super().get_db_converters(expression)
        if expression.output_field.get_internal_type() == "JSONField":
            # Before the one that writes it as text, for Django to read.
            converters.insert(0, _without_references)
        return converters


def _without_references(value: Any, *args: Any) -> Any:
    """Return JSON as it was written: pymongo takes an object with ``$ref`` and ``$id`` for a reference."""
    if isinstance(value, DBRef):
        value = value.as_doc()
    if isinstance(value, dict):
        return {key: _without_references(inner) for key, inner in value.items()}
    return [_without_references(inner) for inner in value] if isinstance(value, list) else value


def _is_null(field: str, wanted: bool) -> dict[str, Any]:
    return {field: None if wanted else {"$ne": None}}


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]  # the backend has no types
    """MongoDB's own backend, with our collections, compiler, introspection and schema editor."""

    SchemaEditorClass = DatabaseSchemaEditor
    introspection_class = DatabaseIntrospection
    ops_class = DatabaseOperations
    collection_class: type[Collection] = Collection
    # The backend asks for a field that is not null besides, or for one that is null or not there. A filter of
    # MongoDB says as much by itself: less than a date is only what is a date, and null what is not there too.
    # So each is one range of an index, and counting needs no row.
    mongo_operators = {
        **base.DatabaseWrapper.mongo_operators,
        "lt": lambda field, value: {field: {"$lt": value}},
        "lte": lambda field, value: {field: {"$lte": value}},
        "isnull": _is_null,
    }

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

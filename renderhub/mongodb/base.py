"""The database engine: MongoDB's own backend, with queries and unique indexes that fit each other."""

from typing import Any

from django_mongodb_backend import base, operations
from django_mongodb_backend.introspection import DatabaseIntrospection as BaseIntrospection
from django_mongodb_backend.query import wrap_database_errors

from renderhub.mongodb.schema import DatabaseSchemaEditor


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


def _is_null(field: str, wanted: bool) -> dict[str, Any]:
    return {field: None if wanted else {"$ne": None}}


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]  # the backend has no types
    """MongoDB's own backend, with our compiler, introspection and schema editor."""

    SchemaEditorClass = DatabaseSchemaEditor
    introspection_class = DatabaseIntrospection
    ops_class = DatabaseOperations
    # The backend asks for a field that is not null besides, or for one that is null or not there. A filter of
    # MongoDB says as much by itself: less than a date is only what is a date, and null what is not there too.
    # So each is one range of an index, and counting needs no row.
    mongo_operators = {  # as the backend has it
        **base.DatabaseWrapper.mongo_operators,
        "lt": lambda field, value: {field: {"$lt": value}},
        "lte": lambda field, value: {field: {"$lte": value}},
        "isnull": _is_null,
    }

"""The database engine: MongoDB's own backend, with queries and unique indexes that fit each other."""

from typing import Any

from django_mongodb_backend import base, operations

from renderhub.mongodb.schema import DatabaseSchemaEditor


class DatabaseOperations(operations.DatabaseOperations):  # type: ignore[misc]  # the backend has no types
    """MongoDB's own backend, with our compiler."""

    compiler_module = "renderhub.mongodb.compiler"


def _is_null(field: str, wanted: bool) -> dict[str, Any]:
    return {field: None if wanted else {"$ne": None}}


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]  # the backend has no types
    """MongoDB's own backend, with our compiler and our schema editor."""

    SchemaEditorClass = DatabaseSchemaEditor
    ops_class = DatabaseOperations
    # The backend asks for a field that is not null besides, or for one that is null or not there. A filter of
    # MongoDB says as much by itself: less than a date is only what is a date, and null what is not there too.
    # So each is one range of an index, and counting needs no row.
    mongo_operators = {
        **base.DatabaseWrapper.mongo_operators,
        "lt": lambda field, value: {field: {"$lt": value}},
        "lte": lambda field, value: {field: {"$lte": value}},
        "isnull": _is_null,
    }

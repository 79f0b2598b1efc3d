"""The database engine: MongoDB's own backend, with unique indexes that its queries can use."""

from typing import Any

from django_mongodb_backend import base
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


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]  # the backend has no types
    """MongoDB's own backend, with our own schema editor and introspection."""

    SchemaEditorClass = DatabaseSchemaEditor
    introspection_class = DatabaseIntrospection

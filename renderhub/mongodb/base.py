"""The database engine: MongoDB's own backend, with unique indexes that its queries can use."""

from django_mongodb_backend import base

from renderhub.mongodb.schema import DatabaseSchemaEditor


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]  # the backend has no types
    """MongoDB's own backend, with our schema editor."""

    SchemaEditorClass = DatabaseSchemaEditor

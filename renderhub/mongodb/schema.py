"""Unique indexes that the query planner may use."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db.models import Field, Index, Model, Q
from django_mongodb_backend.schema import DatabaseSchemaEditor as BaseSchemaEditor
from pymongo.operations import IndexModel

_LOWEST: Final[dict[str, Any]] = {
    "string": "",
    "int": float("-inf"),
    "long": float("-inf"),
    "date": datetime.min,  # noqa: DTZ901  # BSON's dates are UTC, and so are the backend's
}
"""The lowest value of each type that a unique column has here."""


class DatabaseSchemaEditor(BaseSchemaEditor):  # type: ignore[misc]  # the backend has no types
    """Declares unique indexes so that look-ups use them.

    The backend restricts each to values of the column's type, so that several rows may have none. MongoDB
    uses a partial index only for a query that implies its condition, and takes ``{name: "ada"}`` to imply
    ``{name: {$gte: ""}}`` but not ``{name: {$type: "string"}}``: without a change, each look-up by a user's
    name or a token reads the whole collection
    (https://www.mongodb.com/docs/manual/core/index-partial/#query-coverage). Version 6 of the backend mends
    it too; it needs Django 6.
    """

    def add_index(
        self,
        model: type[Model],
        index: Index,
        *,
        field: Field[Any, Any] | None = None,
        unique: bool = False,
        column_prefix: str = "",
        parent_model: type[Model] | None = None,
    ) -> None:
        """Create an index; a unique one with a condition that look-ups imply.

        One that leaves out the rows without a value, as SQL's can, holds all rows here.
        """
        if index.condition is not None and _is_not_null(index.condition):
            index = Index(fields=index.fields, name=index.name)
        if not unique:
            super().add_index(
                model, index, field=field, column_prefix=column_prefix, parent_model=parent_model
            )
            return
        found: IndexModel = index.get_pymongo_index_model(  # type: ignore[attr-defined]  # the backend adds it
            model, schema_editor=self, field=field, unique=True, column_prefix=column_prefix
        )
        document = found.document
        # A field that is being added isn't among the model's yet.
        fields = [*model._meta.local_fields, *([field] if field else [])]
        nullable = {each.column for each in fields if each.null}
        condition = {
            column: _implied(part) if column in nullable else None
            for column, part in document.pop("partialFilterExpression", {}).items()
        }
        condition = {column: part for column, part in condition.items() if part is not None}
        if condition:
            document["partialFilterExpression"] = condition
        self.get_collection((parent_model or model)._meta.db_table).create_indexes([found])


def _is_not_null(condition: Q) -> bool:
    return all(
        isinstance(child, tuple) and child[0].endswith("__isnull") and child[1] is False
        for child in condition.children
    )


def _implied(part: dict[str, Any]) -> dict[str, Any]:
    """Return the condition ``part`` of one column, its type told by the type's lowest value."""
    kind = part.get("$type")
    if kind not in _LOWEST:
        return part
    return {**{name: value for name, value in part.items() if name != "$type"}, "$gte": _LOWEST[kind]}

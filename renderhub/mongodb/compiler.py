"""Pipelines that sort by an index."""

from typing import Any

from django.db.models.expressions import Col
from django_mongodb_backend import compiler
from django_mongodb_backend.compiler import (
    SQLAggregateCompiler,
    SQLDeleteCompiler,
    SQLInsertCompiler,
    SQLUpdateCompiler,
)
from django_mongodb_backend.query import MongoQuery

__all__ = [
    "SQLAggregateCompiler",
    "SQLCompiler",
    "SQLDeleteCompiler",
    "SQLInsertCompiler",
    "SQLUpdateCompiler",
]


class SortingQuery(MongoQuery):  # type: ignore[misc]  # the backend has no types
    """Sorts rows before they are joined or projected.

    The backend sorts after that, and MongoDB takes an index for a sort only where no ``$project``,
    ``$addFields`` or ``$unwind`` stands before it (https://jira.mongodb.org/browse/SERVER-26442): to show
    the newest ten of an account's exports it would read all of them. These stages keep the order of rows.
    """

    def get_pipeline(self) -> list[dict[str, Any]]:
        """Return the stages."""
        stages: list[dict[str, Any]] = super().get_pipeline()
        if not self._sorts_rows():
            return stages
        sort = {"$sort": self.ordering}
        # What the backend adds for its own sort: each column that it sorts by, as itself.
        rest = [stage for stage in stages if stage not in (sort, {"$addFields": self._columns_sorted_by()})]
        match = {"$match": self.match_mql} if self.match_mql else None
        if match is None or (self.lookup_pipeline and not self._matches_rows()):
            return [sort, *rest]
        rest.remove(match)
        return [match, sort, *rest]

    def _sorts_rows(self) -> bool:
        """Tell whether it is the collection's own rows that are sorted, by nothing but their columns."""
        made = self.aggregation_pipeline or self.combinator_pipeline or self.search_pipeline
        if not self.ordering or made or self.subqueries or self.subquery_lookup:
            return False
        columns = {field.column for field in self.query.get_meta().local_concrete_fields}
        return columns >= self.ordering.keys() and not columns & set(self.query.annotation_select)

    def _matches_rows(self) -> bool:
        """Tell whether nothing of a joined collection is asked for."""
        name = self.compiler.collection_name
        return all(
            isinstance(leaf.lhs, Col) and leaf.lhs.alias == name and not hasattr(leaf.rhs, "as_mql")
            for leaf in self.compiler.get_where().leaves()
        )

    def _columns_sorted_by(self) -> dict[str, str]:
        return {column: f"${column}" for column in self.ordering}


class SQLCompiler(compiler.SQLCompiler):  # type: ignore[misc]  # the backend has no types
    """Reads rows."""

    query_class = SortingQuery

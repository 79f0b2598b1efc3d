"""How each database answers what is asked of it, in one form: which indexes, and what is sorted by hand.

SQLite and PostgreSQL are asked for their plans (``EXPLAIN``). So is a MongoDB that ``TEST_MONGODB_URL``
names. The stand-in that runs otherwise has a planner of its own, which says nothing of MongoDB's; there the
indexes that it was told to make are held against what MongoDB's manual says of their use
(:mod:`tests.databases.rules`).
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connection as _connection
from django.db.models import Model, UniqueConstraint
from django.test.utils import CaptureQueriesContext

from tests.databases import rules
from tests.databases.servers import MONGODB_URL

# MongoDB's has more than Django's types know.
connection: Any = _connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one query is answered.

    Attributes:
        indexes: what rows are found by, for each table: the name in a model's ``Meta``, or else
            ``table(columns)``.
        scanned: the tables that are read from end to end.
        is_sorted: whether rows are sorted after they were read.
        text: the database's own words.
    """

    indexes: tuple[str, ...]
    scanned: tuple[str, ...]
    is_sorted: bool
    text: str


def plans_of(act: Callable[[], Any]) -> list[Plan]:
    """Do something, and return the plan of each query that it made, but of inserts."""
    return _READERS[connection.vendor](act)


def _on_sqlite(act: Callable[[], Any]) -> list[Plan]:
    plans = []
    for sql in _queries(act):
        steps = [str(row[-1]) for row in _rows(f"EXPLAIN QUERY PLAN {sql}")]
        indexes, scanned = [], []
        for step in steps:
            kind, table = step.split()[:2]
            name = step.partition("INDEX ")[2].partition(" ")[0]
            if "INTEGER PRIMARY KEY" in step:
                indexes.append(_label(table, "", ["id"]))
            elif name and (kind == "SEARCH" or _is_partial(table, name)):
                columns = [row[2] for row in _rows(f"PRAGMA index_info({name})")]
                indexes.append(_label(table, name, columns))
            elif kind in ("SCAN", "SEARCH") and table in _MODELS:
                scanned.append(table)
        plans.append(
            Plan(
                indexes=tuple(indexes),
                scanned=tuple(scanned),
                is_sorted=any("TEMP B-TREE FOR ORDER" in step for step in steps),
                text="\n".join([sql, *steps]),
            )
        )
    return plans


def _is_partial(table: str, name: str) -> bool:
    """Tell whether an index holds only rows that are looked for, so that it may be read from end to end."""
    return any(row[1] == name and row[4] for row in _rows(f"PRAGMA index_list({table})"))


def _on_postgresql(act: Callable[[], Any]) -> list[Plan]:
    plans = []
    for sql in _queries(act):
        [[plan]] = _rows(f"EXPLAIN (FORMAT JSON) {sql}")
        nodes = list(_nodes(plan[0]["Plan"]))
        names = [node["Index Name"] for node in nodes if "Index Name" in node]
        indexes = [
            _label(table, name, columns)
            for name in names
            for table, columns in _rows(
                "SELECT t.relname, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_index i "
                "JOIN pg_class n ON n.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid "
                "JOIN pg_attribute a ON a.attrelid = n.oid WHERE n.relname = %s GROUP BY t.relname",
                [name],
            )
        ]
        plans.append(
            Plan(
                indexes=tuple(indexes),
                scanned=tuple(node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"),
                is_sorted=any("Sort" in node["Node Type"] for node in nodes),
                text=f"{sql}\n{json.dumps(plan, indent=1)}",
            )
        )
    return plans


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _on_mongodb(act: Callable[[], Any]) -> list[Plan]:
    with _commands() as found:
        act()
    explain = _explained if MONGODB_URL in os.environ else _by_the_rules
    return [explain(*command) for command in found]


def _by_the_rules(table: str, method: str, argument: Any) -> Plan:
    pipeline = argument if method == "aggregate" else [{"$match": argument}]
    indexes, scanned, is_sorted = [], [], False
    for name, ways in rules.looks(table, pipeline):
        way = rules.best_way(connection.database[name].index_information(), ways)
        is_sorted |= way.is_sorted
        if way.index is None:
            scanned.append(name)
        else:
            keys = connection.database[name].index_information()[way.index]["key"]
            indexes.append(_label(name, way.index, [column for column, _ in keys]))
    return Plan(
        indexes=tuple(indexes),
        scanned=tuple(scanned),
        is_sorted=is_sorted,
        text=f"db.{table}.{method}({argument})",
    )


def _explained(table: str, method: str, argument: Any) -> Plan:
    command = {
        "aggregate": {"aggregate": table, "pipeline": argument, "cursor": {}},
        "update_many": {
            "update": table,
            "updates": [{"q": argument, "u": {"$set": {"x": 1}}, "multi": True}],
        },
        "delete_many": {"delete": table, "deletes": [{"q": argument, "limit": 0}]},
    }[method]
    answer = connection.database.command("explain", command, verbosity="executionStats")
    stages = list(_stages(answer))
    kinds = {stage.get("stage") for stage in stages}
    indexes = []
    for stage in stages:
        # IDHACK and its successors name no index: they are the primary key's.
        name = stage.get("indexName") or ("_id_" if stage.get("stage") == "IDHACK" else None)
        if name:
            keys = connection.database[table].index_information()[name]["key"]
            indexes.append(_label(table, name, [column for column, _ in keys]))
    for stage in stages:
        # What a $lookup goes through, it names outside the plan.
        lookup = stage.get("$lookup")
        if lookup:
            for name in stage.get("indexesUsed", ()):
                keys = connection.database[lookup["from"]].index_information()[name]["key"]
                indexes.append(_label(lookup["from"], name, [column for column, _ in keys]))
    return Plan(
        indexes=tuple(dict.fromkeys(indexes)),
        scanned=(table,) if "COLLSCAN" in kinds else (),
        is_sorted="SORT" in kinds or any("$sort" in stage for stage in answer.get("stages", ())),
        text=f"db.{table}.{method}({argument})\n{answer}",
    )


def _stages(plan: Any) -> Iterator[Mapping[str, Any]]:
    """Yield what is a stage of the plan that won."""
    if isinstance(plan, dict):
        if "stage" in plan or "$lookup" in plan:
            yield plan
        for name, inner in plan.items():
            if name not in ("rejectedPlans", "executionStats", "command"):
                yield from _stages(inner)
    elif isinstance(plan, list):
        for inner in plan:
            yield from _stages(inner)


@contextmanager
def _commands() -> Iterator[list[tuple[str, str, Any]]]:
    """Collect what is asked: the collection, pymongo's method, and the pipeline or the filter."""
    found: list[tuple[str, str, Any]] = []
    # Its own class has one too, which is back once this one is deleted.
    get_collection = connection.get_collection
    connection.get_collection = lambda name, **options: _Recorder(get_collection(name, **options), found)
    try:
        yield found
    finally:
        del connection.get_collection


class _Recorder:
    """A collection that notes what it is asked."""

    def __init__(self, collection: Any, found: list[tuple[str, str, Any]]) -> None:
        self._collection = collection
        self._found = found

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._collection, name)
        if name not in ("aggregate", "update_many", "delete_many"):
            return method

        def ask(argument: Any, *args: Any, **kwargs: Any) -> Any:
            self._found.append((self._collection.name, name, argument))
            return method(argument, *args, **kwargs)

        return ask


def _queries(act: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        act()
    queries = (query["sql"] for query in captured.captured_queries)
    return [sql for sql in queries if sql.startswith(("SELECT", "UPDATE", "DELETE"))]


def _rows(sql: str, parameters: list[Any] | None = None) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def _label(table: str, index: str, columns: list[str]) -> str:
    """Return what an index is called here, whatever the database calls it."""
    model = _MODELS[table]
    if index in {each.name for each in model._meta.indexes}:
        return index
    for constraint in model._meta.constraints:
        # SQLite names these itself.
        if isinstance(constraint, UniqueConstraint) and list(constraint.fields) == columns:
            return str(constraint.name)
    key = model._meta.pk
    assert key is not None
    return f"{table}({', '.join(key.attname if column == key.column else column for column in columns)})"


_MODELS: dict[str, type[Model]] = {
    model._meta.db_table: model for model in apps.get_models(include_auto_created=True)
}
_READERS: Mapping[str, Callable[[Callable[[], Any]], list[Plan]]] = {
    "sqlite": _on_sqlite,
    "postgresql": _on_postgresql,
    "mongodb": _on_mongodb,
}

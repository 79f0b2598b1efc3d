"""When MongoDB can use an index, by its manual; for where no MongoDB is at hand to be asked.

An index serves a filter by its first keys: those compared with one value each, then one that has a range. It
gives an order where the keys after those with one value are the order's, all in its direction or all against
it. A partial index serves a filter that asks for nothing outside of it. A pipeline uses an index for what
stands at its beginning. All in https://www.mongodb.com/docs/manual/: tutorial/equality-sort-range-guideline,
tutorial/sort-results-with-indexes, core/index-partial, core/aggregation-pipeline-optimization.

Of several, MongoDB tries which is best; here that is said by rule: a whole unique key, then no sort, then the
most keys that are bound, then the fewest keys.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

_RANGES = frozenset({"$gt", "$gte", "$lt", "$lte"})

Index = Mapping[str, Any]
"""As ``index_information`` describes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of one collection.

    Attributes:
        single: the columns that are compared with one value, with it.
        bound: the columns that have a range or a list of values, with the operators.
        order: what is sorted by, before anything else is done.
        sorts_later: whether rows are sorted after other stages; groups may be.
    """

    single: Mapping[str, Any] = field(default_factory=dict)
    bound: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    order: Sequence[tuple[str, int]] = ()
    sorts_later: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How it is found.

    Attributes:
        index: by which index; ``None`` where all rows are read.
        is_sorted: whether rows are sorted after they were read.
    """

    index: str | None
    is_sorted: bool


def looks(collection: str, pipeline: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Asked]]:
    """Yield each collection that a pipeline looks into, and what it asks there."""
    stages = list(pipeline)
    match = stages.pop(0)["$match"] if stages and "$match" in stages[0] else {}
    order = stages.pop(0)["$sort"] if stages and "$sort" in stages[0] else {}
    single, bound = _parts(match)
    yield (
        collection,
        Asked(
            single=single,
            bound=bound,
            order=tuple(order.items()),
            sorts_later=any("$sort" in stage for stage in _before_groups(stages)),
        ),
    )
    for stage in stages:
        if "$lookup" in stage:
            yield stage["$lookup"]["from"], Asked(single={stage["$lookup"]["foreignField"]: "a value"})


def _before_groups(stages: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    return takewhile(lambda stage: "$group" not in stage, stages)


def best_way(indexes: Mapping[str, Index], asked: Asked) -> Way:
    """Return the best way by these indexes."""
    best: tuple[tuple[bool, bool, int, int], str] | None = None
    for name, index in indexes.items():
        found = _use(name, index, asked)
        if found is not None and (best is None or found > best[0]):
            best = found, name
    sorted_later = asked.sorts_later
    if best is None:
        return Way(index=None, is_sorted=bool(asked.order) or sorted_later)
    return Way(index=best[1], is_sorted=not best[0][1] or sorted_later)


def _use(name: str, index: Index, asked: Asked) -> tuple[bool, bool, int, int] | None:
    """Return how good an index is, the higher the better; ``None`` where it can't be used."""
    if not all(_implies(asked, *part) for part in index.get("partialFilterExpression", {}).items()):
        return None
    keys = [(column, int(direction)) for column, direction in index["key"]]
    ones = 0
    while ones < len(keys) and keys[ones][0] in asked.single:
        ones += 1
    in_order = _gives(keys[ones:], [part for part in asked.order if part[0] not in asked.single])
    ranged = ones < len(keys) and keys[ones][0] in asked.bound
    # A filter needs its first key. An order alone is worth an index too, and so is one that holds few rows.
    gives_order = bool(asked.order) and in_order
    if not (ones or ranged or gives_order):
        return None
    is_whole = ones == len(keys) and (bool(index.get("unique")) or name == "_id_")
    # One row is in any order.
    return is_whole, in_order or is_whole, ones + ranged, -len(keys)


def _gives(keys: Sequence[tuple[str, int]], order: Sequence[tuple[str, int]]) -> bool:
    given = keys[: len(order)]
    return [column for column, _ in given] == [column for column, _ in order] and (
        len({key[1] * part[1] for key, part in zip(given, order, strict=True)}) <= 1
    )


def _implies(asked: Asked, column: str, condition: Mapping[str, Any]) -> bool:
    """Tell whether what is asked lies inside a partial index. It knows the two conditions that ours have."""
    [(operator, least)] = condition.items()
    if operator == "$eq":
        return column in asked.single and asked.single[column] == least
    assert operator == "$gte", condition
    values = [asked.single[column]] if column in asked.single else []
    values += [value for name, value in asked.bound.get(column, {}).items() if name in ("$gt", "$gte")]
    return any(isinstance(value, str) == isinstance(least, str) and value is not None for value in values)


def _parts(match: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return what of a filter an index can serve: the rest is looked at in each row that it finds."""
    single: dict[str, Any] = {}
    bound: dict[str, dict[str, Any]] = {}
    for name, value in match.items():
        if name == "$and":
            for part in value:
                inner_single, inner_bound = _parts(part)
                single |= inner_single
                for column, operators in inner_bound.items():
                    bound[column] = bound.get(column, {}) | operators
        elif name.startswith("$"):
            continue
        elif not isinstance(value, dict):
            single[name] = value
        elif value.keys() == {"$in"} and len(value["$in"]) == 1:
            [single[name]] = value["$in"]
        elif value.keys() <= _RANGES | {"$in"}:
            bound[name] = bound.get(name, {}) | value
    return single, bound

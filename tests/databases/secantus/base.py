"""MongoDB's engine where SecantusDB stands in for a mongod: its faults are worked around here, and only here.

SecantusDB 0.7.0b3 reads a nested ``$project`` or ``$addFields`` wrongly, and looks for what
``{"$and": [{_id}, …]}`` names in the whole collection. To MongoDB ``{"a.b": 1}`` is ``{"a": {"b": 1}}`` in
both stages, and an ``$and`` one document where its parts name different fields.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from renderhub.mongodb import base
from renderhub.mongodb.collection import Collection


class FlatCollection(Collection):
    """A collection that is asked in the flat form."""

    def aggregate(self, pipeline: Sequence[Mapping[str, Any]], *args: Any, **kwargs: Any) -> Any:
        """Run a pipeline."""
        return super().aggregate(flat_pipeline(pipeline), *args, **kwargs)

    def update_many(self, filter: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Update what a filter finds."""
        return super().update_many(flat_match(filter), *args, **kwargs)

    def delete_many(self, filter: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Delete what a filter finds."""
        return super().delete_many(flat_match(filter), *args, **kwargs)


class DatabaseWrapper(base.DatabaseWrapper):
    """The engine, asking in the flat form."""

    collection_class = FlatCollection


def flat_pipeline(pipeline: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a pipeline that means the same, without what SecantusDB takes wrongly."""
    return [{name: _flat_stage(name, body) for name, body in stage.items()} for stage in pipeline]


def _flat_stage(name: str, body: Any) -> Any:
    if name == "$match":
        return flat_match(body)
    if name in ("$project", "$addFields", "$set"):
        return _flat_fields(body)
    if name == "$lookup" and "pipeline" in body:
        return {**body, "pipeline": flat_pipeline(body["pipeline"])}
    if name == "$facet":
        return {key: flat_pipeline(each) for key, each in body.items()}
    return body


def _flat_fields(fields: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in fields.items():
        # An empty one, or one with an operator, is a value.
        if isinstance(value, Mapping) and value and not any(key.startswith("$") for key in value):
            found |= _flat_fields(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def flat_match(match: Mapping[str, Any]) -> dict[str, Any]:
    """Return a filter that means the same, the parts of each ``$and`` in one document where that can be."""
    found: dict[str, Any] = {}
    left: list[dict[str, Any]] = []
    for name, value in match.items():
        if name == "$and":
            for part in value:
                part = flat_match(part)
                if found.keys() & part.keys():
                    left.append(part)
                else:
                    found |= part
        elif name in ("$or", "$nor"):
            parts = [flat_match(part) for part in value]
            if name in found:
                left.append({name: parts})
            else:
                found[name] = parts
        elif name in found:
            left.append({name: value})
        else:
            found[name] = value
    return {**found, "$and": [*found.pop("$and", []), *left]} if left else found

"""The JSON Schemas (2020-12) of projects, compiled, and kept from being more work than a request may make.

Whoever has a project writes its schema, and it is applied inside the web process. So nothing in it may take
time or memory without bounds: a pattern (its engine has a limit), a reference that leads out of the schema,
or references that lead to the same place over and over (:class:`_Count` counts them).
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final
from urllib.parse import unquote

from jsonschema_rs import Draft202012Validator, FancyRegexOptions, ValidationError, ValidationErrorKind, meta

MAX_APPLICATIONS: Final = 1000
"""How many subschemas may be applied to one place of the props."""

_LEAST_DEPTH: Final = 4
"""To how many levels of the props a schema must be applicable. One that describes a tree in several ways is
applied more often at each level; below this it is refused, and otherwise props that are deeper are."""

_MAX_STEPS: Final = 100_000
"""How long is counted at the most; what takes longer counts as too much."""

_MAX_LISTED: Final = 50_000
"""Up to how many possible errors all are looked for: they are in memory at one time. Above, the first is."""

_MAX_ERRORS: Final = 50
_MAX_MESSAGE_CHARS: Final = 500
"""A message of the schema begins with what breaks it, which can be all of the props."""

# Most patterns are matched in linear time. Those with look-around or back-references are tried step by step,
# and a step limit ends what would go on for ever.
_PATTERNS: Final = FancyRegexOptions(backtrack_limit=100_000, size_limit=1_000_000)


class SchemaError(Exception):
    """This is no JSON Schema that props could be checked against. The message begins in lower case."""


class PropsSchema:
    """A schema that props can be checked against again and again.

    Args:
        schema: the schema.

    Raises:
        SchemaError: it is none, or none that could be applied.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        try:
            meta.validate({**schema, "$schema": _DIALECT})
        except (ValidationError, ValueError) as error:
            raise SchemaError(f"{_words(error)} at {_path(error)}") from error
        self._applications, self._max_depth = _Count(schema).most()
        try:
            # Offline, so that nothing is ever fetched.
            self._validator = Draft202012Validator(schema, pattern_options=_PATTERNS, offline=True)
        except (ValidationError, ValueError) as error:
            raise SchemaError(f"{_words(error)} at {_path(error)}") from error

    def errors(self, props: dict[str, Any]) -> list[tuple[tuple[str | int, ...], str]]:
        """Return what is wrong with ``props``, each error with the path to its place; 50 at the most."""
        if self._max_depth is not None and is_deeper_than(props, self._max_depth):
            return [((), f"Under this schema props can be nested {self._max_depth} levels deep at the most.")]
        if self._validator.is_valid(props):
            return []
        if self._applications * _places(props) <= _MAX_LISTED:
            found = self._validator.iter_errors(props)
        else:
            found = iter([self._first(props)])
        return [(tuple(error.instance_path), _words(error)) for error in islice(found, _MAX_ERRORS)]

    def _first(self, props: dict[str, Any]) -> ValidationError:
        try:
            self._validator.validate(props)
        except ValidationError as error:
            return error
        raise AssertionError("props that are invalid have an error")


def compile_schema(schema: dict[str, Any]) -> PropsSchema:
    """Return a schema ready to be applied; one that was asked for lately is at hand.

    Raises:
        SchemaError: it is no schema that props could be checked against.
    """
    return _compiled(json.dumps(schema, separators=(",", ":")))


@lru_cache(maxsize=64)
def _compiled(text: str) -> PropsSchema:
    return PropsSchema(json.loads(text))


_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def _words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        if isinstance(error.kind, ValidationErrorKind.BacktrackLimitExceeded):
            return "This text takes the schema's pattern too many steps to match."
        text = error.message
        half = _MAX_MESSAGE_CHARS // 2
        return text if len(text) <= 2 * half else f"{text[:half]} … {text[-half:]}"
    return str(error)


def _path(error: Exception) -> str:
    path: Sequence[str | int] = error.instance_path if isinstance(error, ValidationError) else ()
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in ("$", *path))[1:]


def is_deeper_than(value: Any, limit: int) -> bool:
    """Tell whether objects and lists are nested more than ``limit`` levels deep in a value."""
    if not isinstance(value, dict | list):
        return False
    if limit == 0:
        return True
    inner = value.values() if isinstance(value, dict) else value
    return any(is_deeper_than(item, limit - 1) for item in inner)


def _places(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + len(value) + sum(map(_places, value.values()))
    return 1 + sum(map(_places, value)) if isinstance(value, list) else 1


# --- How much a schema is ---------------------------------------------------------------------------------

_LISTS: Final = ("allOf", "anyOf", "oneOf")
_SINGLE: Final = ("not", "if", "then", "else")
_BY_NAME: Final = ("dependentSchemas", "dependencies")
_REFERENCES: Final = ("$ref", "$dynamicRef")
_NESTED: Final = (
    "additionalProperties",
    "propertyNames",
    "unevaluatedProperties",
    "items",
    "contains",
    "unevaluatedItems",
)
_ANY: Final = ("any",)
"""Stands for each name or index that no subschema is meant for in particular."""


class _TooMuchError(Exception):
    pass


class _Count:
    """Counts how many subschemas are applied to one place of any props.

    It goes from one place to those inside of it, and sees which subschemas come to be applied there, and how
    often. What has been met isn't followed again, so that a schema that describes a tree ends. One that is
    applied more often at each level of the tree doesn't, and is left where it is too much.
    """

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._steps = 0
        self._nodes: dict[int, dict[str, Any]] = {}
        self._expanded: dict[int, Counter[int]] = {}
        self._open: set[int] = set()
        self._anchors: dict[str, list[Any]] = {}
        self._find_anchors(root)

    def most(self) -> tuple[int, int | None]:
        """Return the greatest number, and how deep props may be for it; ``None`` where any depth is right.

        Raises:
            SchemaError: it has no end, is too much, or leads out of the schema.
        """
        level, most, depth = [Counter[int]()], 0, -1
        seen: set[frozenset[tuple[int, int]]] = set()
        try:
            level = [self._expand(self._root)]
            while level:
                depth += 1
                most = max(most, *(applied.total() for applied in level))
                found = {frozenset(inner.items()): inner for each in level for inner in self._inside(each)}
                level = [inner for key, inner in found.items() if key not in seen]
                seen |= found.keys()
        except _TooMuchError:
            if depth < _LEAST_DEPTH:
                raise SchemaError(
                    f"it is too intricate: more than {MAX_APPLICATIONS:,} of its subschemas, counted with "
                    "every reference to them, can come together at one place of the props"
                ) from None
            return most, depth
        return most, None

    def _expand(self, node: Any) -> Counter[int]:
        """Return a subschema and all that it applies to the same place, each with how often."""
        if not isinstance(node, dict):
            return Counter({0: 1})
        key = id(node)
        if key in self._expanded:
            return self._expanded[key]
        if key in self._open:
            raise SchemaError("it refers to itself without end")
        self._nodes[key] = node
        self._open.add(key)
        found = Counter({key: 1})
        # To know what has been looked at, all of it is applied once more.
        times = 2 if "unevaluatedProperties" in node or "unevaluatedItems" in node else 1
        for other in self._beside(node):
            self._add(found, self._expand(other), times)
        self._open.remove(key)
        self._expanded[key] = found
        return found

    def _add(self, found: Counter[int], more: Counter[int], times: int) -> None:
        for key, number in more.items():
            found[key] += number * times
        self._steps += len(more) + 1
        if found.total() > MAX_APPLICATIONS or self._steps > _MAX_STEPS:
            raise _TooMuchError

    def _beside(self, node: dict[str, Any]) -> Iterator[Any]:
        for name in _LISTS:
            yield from node.get(name, ())
        for name in _SINGLE:
            if name in node:
                yield node[name]
        for name in _BY_NAME:
            yield from node.get(name, {}).values()
        for name in _REFERENCES:
            if name in node:
                yield from self._resolve(node[name])

    def _inside(self, applied: Counter[int]) -> Iterator[Counter[int]]:
        """Yield what is applied to each property or item of a place, by what is applied to the place."""
        named: dict[Any, Counter[int]] = {_ANY: Counter()}
        for key in applied:
            node = self._nodes.get(key, {})
            for name in node.get("properties", {}):
                named.setdefault(name, Counter())
            for index in range(len(node.get("prefixItems", ()))):
                named.setdefault(index, Counter())
        for name, found in named.items():
            for key, times in applied.items():
                node = self._nodes.get(key, {})
                self._steps += 1
                for other in self._meant_for(name, node):
                    self._add(found, self._expand(other), times)
            if found:
                yield found

    def _meant_for(self, name: Any, node: dict[str, Any]) -> Iterator[Any]:
        if isinstance(name, str) and name in node.get("properties", {}):
            yield node["properties"][name]
        if isinstance(name, int) and name < len(node.get("prefixItems", ())):
            yield node["prefixItems"][name]
        yield from node.get("patternProperties", {}).values()
        for keyword in _NESTED:
            if keyword in node:
                yield node[keyword]

    def _resolve(self, reference: Any) -> Iterator[Any]:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise SchemaError("a reference must point into the schema itself: it must begin with #")
        fragment = unquote(reference[1:])
        if fragment and not fragment.startswith("/"):
            if fragment not in self._anchors:
                raise SchemaError(f"there is no anchor {reference}")
            yield from self._anchors[fragment]
            return
        found: Any = self._root
        for part in fragment.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(name)] if isinstance(found, list) else found[name]
            except (LookupError, ValueError, TypeError):
                raise SchemaError(f"there is nothing at {reference}") from None
        yield found

    def _find_anchors(self, value: Any) -> None:
        if isinstance(value, dict):
            if value is not self._root and isinstance(value.get("$id"), str):
                raise SchemaError("an $id may stand at its root alone")
            for name in ("$anchor", "$dynamicAnchor"):
                if isinstance(value.get(name), str):
                    self._anchors.setdefault(value[name], []).append(value)
            for inner in value.values():
                self._find_anchors(inner)
        elif isinstance(value, list):
            for inner in value:
                self._find_anchors(inner)

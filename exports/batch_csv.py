"""A batch as CSV (RFC 4180): a row for each export, a column for each prop.

A column is named after its prop; ``chart.title`` is the prop ``title`` inside of ``chart``, unless the schema
has a prop of that whole name. A name that begins with ``$`` is a field of the export itself: ``$codec``,
``$priority``. An empty cell says nothing, so that the project's own value counts. What a cell's text means
the schema tells: a number, ``true`` or ``false``, ``null``, a list or an object as JSON, and text where none
of these is allowed, or where it says nothing.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from renderhub.parsers import UNSTORABLE, is_unstorable, load_json

FIELD_PREFIX: Final = "$"
_MAX_COLUMNS: Final = 1000
_MAX_CELL_CHARS: Final = 1_000_000

# Of the whole process, and by default less than props may hold.
csv.field_size_limit(_MAX_CELL_CHARS)

_WHOLE: Final = re.compile(r"-?(0|[1-9]\d*)", re.ASCII)
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_JSON: Final[dict[type, str]] = {list: "array", dict: "object"}


class CSVError(Exception):
    """This is no CSV, or none whose columns make sense."""


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file as it was sent: the names of its columns, and its rows, of any number of cells."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that stands for no export, and why."""

    detail: str


def read_table(body: bytes) -> Table:
    """Read a CSV file in UTF-8, with or without a byte order mark. Empty lines are none of its rows.

    Raises:
        CSVError: it can't be read.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CSVError(f"It is not UTF-8: byte {error.start} can't be read") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [tuple(line) for line in reader if line]
    except csv.Error as error:
        raise CSVError(f"Line {reader.line_num}: {error}") from error
    if not lines:
        raise CSVError("It is empty: its first line must name the columns")
    return Table(lines[0], tuple(lines[1:]))


def items_of(
    table: Table, *, props_schema: Mapping[str, Any] | None, fields: Mapping[str, Any]
) -> list[dict[str, Any] | BadRow]:
    """Return the rows as the bodies of the exports' requests.

    Args:
        table: the file.
        props_schema: the project's JSON Schema, which tells what a cell's text means.
        fields: the same for the fields of a request, as a JSON Schema.

    Raises:
        CSVError: a column's name makes no sense.
    """
    columns = [_Column.read(name, props_schema or {}, fields) for name in table.header]
    _check_columns(columns)
    return [_item(row, columns) for row in table.rows]


@dataclass(frozen=True, slots=True)
class _Column:
    """Where a column's cells belong in an item, and which JSON types they may have."""

    name: str
    path: tuple[str, ...]
    kinds: frozenset[str]

    @classmethod
    def read(cls, name: str, props_schema: Mapping[str, Any], fields: Mapping[str, Any]) -> "_Column":
        is_field = name.startswith(FIELD_PREFIX)
        schema = fields if is_field else props_schema
        plain = name.removeprefix(FIELD_PREFIX)
        declared = any(plain in each.get("properties", {}) for each in _all(schema, schema))
        path = (plain,) if declared else tuple(plain.split("."))
        if not all(path):
            raise CSVError(f"The column {name!r} has no name, or an empty part in it")
        if is_field and path[0] not in fields["properties"]:
            known = ", ".join(f"{FIELD_PREFIX}{each}" for each in fields["properties"])
            raise CSVError(f"There is no field {name}; there are {known}")
        found: Iterable[Any] = [schema]
        for part in path:
            found = [inner for each in found for inner in _named(each, part, schema)]
        kinds = frozenset(kind for each in found for kind in _kinds(each, schema))
        return cls(name, path if is_field else ("inputProps", *path), kinds)

    def value(self, text: str) -> Any:
        """Return what a cell says; where it is of none of the types, its text, for the schema to refuse."""
        if "null" in self.kinds and text == "null":
            return None
        if "boolean" in self.kinds and text.lower() in ("true", "false"):
            return text.lower() == "true"
        pattern = _NUMBER if "number" in self.kinds else _WHOLE if "integer" in self.kinds else None
        if pattern is not None and pattern.fullmatch(text):
            return _json(text)
        if self.kinds & {"array", "object"}:
            value = _json(text)
            if _JSON.get(type(value)) in self.kinds:
                return value
        return text


def _json(text: str) -> Any:
    try:
        return load_json(text)
    except (ValueError, RecursionError):
        return text


def _check_columns(columns: Sequence[_Column]) -> None:
    if len(columns) > _MAX_COLUMNS:
        raise CSVError(f"It has {len(columns):,} columns, and can have {_MAX_COLUMNS:,}")
    places: dict[tuple[str, ...], str] = {}
    for column in columns:
        if column.path in places:
            raise CSVError(f"The column {column.name} is there twice")
        places[column.path] = column.name
    for column in columns:
        for end in range(1, len(column.path)):
            if column.path[:end] in places:
                raise CSVError(f"The column {column.name} is inside of {places[column.path[:end]]}: keep one")


def _item(row: Sequence[str], columns: Sequence[_Column]) -> dict[str, Any] | BadRow:
    if len(row) != len(columns):
        return BadRow(f"This row has {len(row)} cells; the first line names {len(columns)} columns.")
    item: dict[str, Any] = {}
    for text, column in zip(row, columns, strict=True):
        if not text:
            continue
        if is_unstorable(text):
            return BadRow(f"{column.name}: {UNSTORABLE}")
        inner = item
        for part in column.path[:-1]:
            inner = inner.setdefault(part, {})
        inner[column.path[-1]] = column.value(text)
    return item


# --- What a schema says of a place ------------------------------------------------------------------------


def _all(schema: Any, root: Mapping[str, Any], depth: int = 8) -> Iterator[Mapping[str, Any]]:
    """Yield a schema and those that it applies to the same place."""
    if not isinstance(schema, Mapping) or depth == 0:
        return
    yield schema
    for name in ("allOf", "anyOf", "oneOf"):
        for other in schema.get(name, ()):
            yield from _all(other, root, depth - 1)
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        found: Any = root
        for part in reference[2:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, Mapping) else None
        yield from _all(found, root, depth - 1)


def _named(schema: Any, name: str, root: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what a schema says of a property."""
    for each in _all(schema, root):
        if name in each.get("properties", {}):
            yield each["properties"][name]
        elif isinstance(each.get("additionalProperties"), Mapping):
            yield each["additionalProperties"]


def _kinds(schema: Any, root: Mapping[str, Any]) -> Iterator[str]:
    """Yield the JSON types that a schema allows."""
    for each in _all(schema, root):
        kinds = each.get("type", [])
        yield from [kinds] if isinstance(kinds, str) else kinds
        for value in [*each.get("enum", ()), *([each["const"]] if "const" in each else ())]:
            yield _KIND_OF.get(type(value), "null")


_KIND_OF: Final = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}

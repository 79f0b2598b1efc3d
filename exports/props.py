"""The checks that a render's props must pass before anything is recorded."""

import json
import re
from itertools import islice
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable

from renderhub.problems import pointer_part

MAX_BYTES: Final = 190_000
"""Above this Remotion's client takes another road, by way of the bucket and with more permissions."""

MAX_ESCAPED_BYTES: Final = 250_000
"""Remotion's function hands the props on to itself as a string in JSON, in 256 KiB with all else."""

MAX_DEPTH: Final = 32

MAX_SCHEMA_DEPTH: Final = 2 * MAX_DEPTH
"""A schema takes two levels for each of its objects: ``properties`` and the property."""

_MAX_ERRORS: Final = 50
_MAX_MESSAGE_CHARS: Final = 500
"""A message of the schema quotes what breaks it, which can be all of the props."""


def schema_error(schema: Any) -> str | None:
    """Return what is wrong with a JSON Schema (2020-12), ``None`` where it is valid."""
    if not isinstance(schema, dict):
        return "A JSON Schema must be an object."
    if _is_deeper_than(schema, MAX_SCHEMA_DEPTH):
        return f"A schema can be nested {MAX_SCHEMA_DEPTH} levels deep at the most."
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"This is no valid JSON Schema: {error.message} at {error.json_path}."
    if _refers_elsewhere(schema):
        return "A $ref must point into this schema itself: it must begin with #."
    return None


def props_errors(props: dict[str, Any], schema: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Return what is wrong with ``props``, each error with the JSON pointer of its place."""
    if _is_deeper_than(props, MAX_DEPTH):
        return [("", f"Props can be nested {MAX_DEPTH} levels deep at the most.")]
    text = json.dumps(props, separators=(",", ":"))
    if len(text) > MAX_BYTES:
        return [
            (
                "",
                f"Props can be {MAX_BYTES:,} bytes of JSON at the most; these are {len(text):,}. "
                "Put large data at a URL and pass the URL.",
            )
        ]
    escaped = len(json.dumps(text))
    if escaped > MAX_ESCAPED_BYTES:
        return [
            (
                "",
                f"Props can be {MAX_ESCAPED_BYTES:,} bytes at the most once they are a string in JSON; these "
                f"are {escaped:,}, for the many quotation marks and backslashes in them. Put large data at a "
                "URL and pass the URL.",
            )
        ]
    if schema is None:
        return []
    try:
        # A registry of its own, so that nothing is ever fetched.
        validator = Draft202012Validator(schema, registry=Registry())
        found = list(islice(validator.iter_errors(props), _MAX_ERRORS))
    except (Unresolvable, RecursionError, re.error) as error:
        # What the meta-schema can't see: a reference to nowhere or to itself, a pattern that is none.
        reason = "it refers to itself without end" if isinstance(error, RecursionError) else str(error)
        return [("", f"The project's propsSchema can't be applied and must be mended first: {reason}.")]
    return [
        (
            "".join(f"/{pointer_part(str(part))}" for part in error.absolute_path),
            error.message[:_MAX_MESSAGE_CHARS],
        )
        for error in found
    ]


def _is_deeper_than(value: Any, limit: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if limit == 0:
        return True
    inner = value.values() if isinstance(value, dict) else value
    return any(_is_deeper_than(item, limit - 1) for item in inner)


def _refers_elsewhere(schema: Any) -> bool:
    """Tell whether a reference leaves the schema: following it would make this server fetch an address."""
    if isinstance(schema, dict):
        references = (schema.get(name, "#") for name in ("$ref", "$dynamicRef"))
        if any(isinstance(each, str) and not each.startswith("#") for each in references):
            return True
        return any(_refers_elsewhere(item) for item in schema.values())
    return isinstance(schema, list) and any(_refers_elsewhere(item) for item in schema)

"""The checks that a render's props must pass before anything is recorded."""

import json
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

MAX_BYTES: Final = 190_000
"""Above this Remotion's client takes another road, by way of the bucket and with more permissions."""

MAX_DEPTH: Final = 32


def schema_error(schema: Any) -> str | None:
    """Return what is wrong with a JSON Schema (2020-12), ``None`` where it is valid."""
    if not isinstance(schema, dict):
        return "A JSON Schema must be an object."
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
    size = len(json.dumps(props, separators=(",", ":")))
    if size > MAX_BYTES:
        return [
            (
                "",
                f"Props can be {MAX_BYTES:,} bytes of JSON at the most; these are {size:,}. "
                "Put large data at a URL and pass the URL.",
            )
        ]
    if schema is None:
        return []
    found = Draft202012Validator(schema).iter_errors(props)
    return [
        (
            "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in error.absolute_path),
            error.message,
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
        reference = schema.get("$ref", schema.get("$dynamicRef", "#"))
        if isinstance(reference, str) and not reference.startswith("#"):
            return True
        return any(_refers_elsewhere(item) for item in schema.values())
    return isinstance(schema, list) and any(_refers_elsewhere(item) for item in schema)

"""The checks that a render's props must pass before anything is recorded."""

import json
from collections.abc import Callable
from typing import Any, Final

from exports.schemas import SchemaError, compile_schema, is_deeper_than
from renderhub.problems import pointer_part

MAX_BYTES: Final = 190_000
"""Above this Remotion's client takes another road, by way of the bucket and with more permissions."""

MAX_ESCAPED_BYTES: Final = 250_000
"""Remotion's function hands the props on to itself as a string in JSON, in 256 KiB with all else."""

MAX_DEPTH: Final = 32

MAX_SCHEMA_DEPTH: Final = 2 * MAX_DEPTH
"""A schema takes two levels for each of its objects: ``properties`` and the property."""


class PropsTooLargeError(Exception):
    """The props are more than can be handed on to Remotion."""


class PropsTooDeepError(Exception):
    """The props are nested too deeply."""


def schema_error(schema: Any) -> str | None:
    """Return what is wrong with a JSON Schema (2020-12), ``None`` where props can be checked against it."""
    if not isinstance(schema, dict):
        return "A JSON Schema must be an object."
    if is_deeper_than(schema, MAX_SCHEMA_DEPTH):
        return f"A schema can be nested {MAX_SCHEMA_DEPTH} levels deep at the most."
    try:
        compile_schema(schema)
    except SchemaError as error:
        return f"This is no valid JSON Schema: {error}."
    return None


def check_limits(props: dict[str, Any]) -> None:
    """Make sure that props are neither too many nor too deep.

    Raises:
        PropsTooDeepError: they are too deep.
        PropsTooLargeError: they are too large, as JSON or as a string in JSON.
    """
    if is_deeper_than(props, MAX_DEPTH):
        raise PropsTooDeepError(f"Props can be nested {MAX_DEPTH} levels deep at the most.")
    text = json.dumps(props, separators=(",", ":"))
    if len(text) > MAX_BYTES:
        raise PropsTooLargeError(
            f"Props can be {MAX_BYTES:,} bytes of JSON at the most; these are {len(text):,}. Put large data "
            "at a URL and pass the URL."
        )
    escaped = len(json.dumps(text))
    if escaped > MAX_ESCAPED_BYTES:
        raise PropsTooLargeError(
            f"Props can be {MAX_ESCAPED_BYTES:,} bytes at the most once they are a string in JSON; these are "
            f"{escaped:,}, for the many quotation marks and backslashes in them. Put large data at a URL and "
            "pass the URL."
        )


Check = Callable[[dict[str, Any]], list[tuple[str, str]]]


def props_check(schema: dict[str, Any] | None) -> Check:
    """Return a function that tells where props don't meet a schema.

    Each error is the JSON pointer of its place and a sentence. Without a schema there are none.
    """
    if schema is None:
        return lambda props: []
    try:
        compiled = compile_schema(schema)
    except SchemaError as error:
        # One that was saved before such ones were refused.
        unusable = f"The project's propsSchema can't be applied and must be mended first: {error}."
        return lambda props: [("", unusable)]

    def check(props: dict[str, Any]) -> list[tuple[str, str]]:
        return [
            ("".join(f"/{pointer_part(str(part))}" for part in path), message)
            for path, message in compiled.errors(props)
        ]

    return check

"""Reading JSON bodies: RFC 8259 to the letter, and only what every database and every reader keeps."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from itertools import islice
from typing import IO, Any, Final

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import JSONRenderer

from renderhub.problems import Problem, invalid, pointer_part, too_large

# A signed 64-bit integer, which is what databases store a whole number in.
_LEAST: Final = -(2**63)
_GREATEST: Final = 2**63 - 1

_MAX_ERRORS: Final = 20

UNSTORABLE: Final = "Text can hold neither the character U+0000 nor half of a surrogate pair."
_UNSTORABLE_CHARACTER: Final = re.compile("[\0\ud800-\udfff]")


class StrictJSONParser(BaseParser):
    """Refuses what Python's own reading lets pass, or changes on the way.

    That is: ``NaN`` and infinities in whichever spelling, whole numbers beyond 64 bits, a key that stands
    twice in an object, NUL characters and lone surrogates in text, and nesting that exhausts the stack.
    """

    media_type = "application/json"
    # Writes the browsable API's form.
    renderer_class = JSONRenderer
    max_bytes = settings.MAX_BODY_BYTES

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the decoded body.

        Raises:
            Problem: the body is larger than ``max_bytes``, or holds text that can't be stored.
            ParseError: it is no JSON.
        """
        body = read_body(stream, max_bytes=self.max_bytes)
        try:
            data = load_json(body.decode())
            unstorable = list(islice(_unstorable(data, ""), _MAX_ERRORS))
        except ValueError as error:
            raise ParseError(f"The body is no valid JSON: {error}.") from error
        except RecursionError as error:
            raise ParseError("The body is nested too deeply to be read.") from error
        if unstorable:
            raise invalid([(pointer, UNSTORABLE) for pointer in unstorable])
        return data


def read_body(stream: IO[Any], *, max_bytes: int) -> bytes:
    """Read a body up to its limit.

    Raises:
        Problem: it is larger.
    """
    # Under ASGI a wrapper limits bodies before this; a WSGI server reads what comes.
    body: bytes = stream.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, *too_large(max_bytes))
    return body


def load_json(text: str) -> Any:
    """Read JSON as strictly as a body.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested too deeply.
    """
    return json.loads(
        text, parse_float=_finite, parse_constant=_finite, parse_int=_whole, object_pairs_hook=_unique
    )


def _finite(literal: str) -> float:
    value = float(literal)
    if not math.isfinite(value):
        raise ValueError(f"{literal[:16]} is no number that JSON knows")
    # PostgreSQL writes 1e30 as the whole number that it is, which other databases have no room for.
    if abs(value) > _GREATEST:
        raise ValueError(f"{literal[:16]} is beyond what 64 bits hold; write it as a string")
    return value


def _whole(literal: str) -> int:
    # Looked at before it is converted, which takes long for a long one.
    value = int(literal) if len(literal) <= len(str(_LEAST)) else _GREATEST + 1
    if not _LEAST <= value <= _GREATEST:
        raise ValueError("a whole number has more than 64 bits; write it as a string")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {json.dumps(twice)} stands twice in an object")
    return result


def _unstorable(value: Any, pointer: str) -> Iterator[str]:
    """Yield the JSON pointer of each text that a database or an encoder can't take."""
    if isinstance(value, str):
        if is_unstorable(value):
            yield pointer
    elif isinstance(value, dict):
        for key, inner in value.items():
            # A question mark stands for what the answer couldn't carry either.
            place = f"{pointer}/{pointer_part(key.encode(errors='replace').decode())}"
            if is_unstorable(key):
                yield place
            else:
                yield from _unstorable(inner, place)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _unstorable(inner, f"{pointer}/{position}")


def is_unstorable(text: str) -> bool:
    """Tell whether a text holds what a database or an encoder can't take."""
    return _UNSTORABLE_CHARACTER.search(text) is not None

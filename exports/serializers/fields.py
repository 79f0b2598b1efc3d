"""What several requests have in common: strictness, props, and where a site may lie."""

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from exports.compositions import known_compositions
from exports.props import PropsTooDeepError, PropsTooLargeError, check_limits, schema_error
from renderhub.problems import Problem, pointer_part

# Django REST framework would take 7 for "7", "no" for false and "7" for 7.
_KINDS: Final = (
    (serializers.CharField, (str,)),
    (serializers.BooleanField, (bool,)),
    ((serializers.IntegerField, serializers.FloatField), (int, float)),
)


class StrictSerializer(serializers.Serializer[Any]):
    """Takes the described kinds alone, and refuses fields that it doesn't know: one may be misspelt."""

    def to_internal_value(self, data: Any) -> Any:
        """Read the fields, after a look for those that aren't there, and for what is of another kind."""
        if isinstance(data, dict):
            known = ", ".join(name for name, field in self.fields.items() if not field.read_only)
            errors: dict[str, list[str]] = {
                pointer_part(name): [f"There is no such field; there are {known}."]
                for name in sorted(set(data) - set(self.fields))
            }
            for name in data.keys() & self.fields.keys():
                field = self.fields[name]
                if any(
                    isinstance(field, fields) and data[name] is not None and type(data[name]) not in kinds
                    for fields, kinds in _KINDS
                ):
                    errors[name] = [str(field.error_messages["invalid"])]
            if errors:
                raise serializers.ValidationError(errors)
        return super().to_internal_value(data)


@extend_schema_field({"type": "object", "additionalProperties": True})
class PropsField(serializers.JSONField):
    """A JSON object."""

    def to_internal_value(self, data: Any) -> Any:
        """Refuse whatever is no object."""
        if not isinstance(data, dict):
            raise serializers.ValidationError("Props must be a JSON object.")
        refuse_beyond_limits(data)
        return super().to_internal_value(data)


_MOST_PAIRS: Final = 20
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_MOST_CHARS: Final = 500


def metadata_errors(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with each pair of an export's metadata: its key, and a sentence."""
    for key, value in metadata.items():
        if not _KEY.fullmatch(key):
            yield key, "A key is 1 to 40 of the characters A-Z, a-z, 0-9, _ and -."
        if not isinstance(value, str):
            yield key, "A value is a string; write numbers and others as one."
        elif len(value) > _MOST_CHARS:
            yield key, f"A value has {_MOST_CHARS} characters at the most."
        elif "\0" in value:
            yield key, "A value can't hold the character U+0000."


@extend_schema_field(
    {
        "type": "object",
        "maxProperties": _MOST_PAIRS,
        "additionalProperties": {"type": "string", "maxLength": _MOST_CHARS},
        "example": {"orderId": "6735"},
    }
)
class MetadataField(serializers.JSONField):
    """Pairs of text by which an export is found again; a key has up to 40 of A-Z, a-z, 0-9, _ and -."""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        """Refuse whatever can't be found again."""
        if not isinstance(data, dict):
            raise serializers.ValidationError("Metadata is an object of strings.")
        if len(data) > _MOST_PAIRS:
            raise serializers.ValidationError(f"Metadata holds {_MOST_PAIRS} pairs at the most.")
        errors: dict[str, list[str]] = {}
        for key, detail in metadata_errors(data):
            errors.setdefault(pointer_part(key), []).append(detail)
        if errors:
            raise serializers.ValidationError(errors)
        return data


def refuse_beyond_limits(props: dict[str, Any]) -> None:
    """Refuse props that are too large or too deep, with problems of their own."""
    try:
        check_limits(props)
    except PropsTooLargeError as error:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "props-too-large", str(error)) from error
    except PropsTooDeepError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "props-too-deep", str(error)) from error


def validate_serve_url(value: str) -> None:
    """Refuse a site that this deployment doesn't allow: Remotion's Chromium would load it."""
    if not value:
        return
    parts = urlsplit(value)
    # A prefix alone would let https://site.example.evil.org pass for https://site.example.
    plain = ".." not in parts.path and "\\" not in value and not parts.username
    for allowed in settings.SERVE_URL_ALLOWED:
        base = urlsplit(allowed)
        folder = base.path.rpartition("/")[0] + "/"
        if (
            plain
            and (parts.scheme, parts.netloc) == (base.scheme, base.netloc)
            and parts.path.startswith(folder)
        ):
            return
    raise serializers.ValidationError("This address is not among those that SERVE_URL_ALLOWED lists.")


@extend_schema_field({"type": "object", "additionalProperties": True, "nullable": True})
class PropsSchemaField(serializers.JSONField):
    """A JSON Schema (2020-12) that can be met and names nothing outside of itself, or null."""

    def to_internal_value(self, data: Any) -> Any:
        """Refuse a schema that no props could be checked against."""
        error = schema_error(data)
        if error:
            raise serializers.ValidationError(error)
        return super().to_internal_value(data)


_MAX_NAMED = 20


def composition_error(composition_id: str, serve_url: str) -> str | None:
    """Return what is wrong with a composition that a site is known not to have, ``None`` otherwise."""
    known = known_compositions(serve_url or settings.REMOTION_SERVE_URL)
    if known is None or composition_id in known:
        return None
    names = sorted(known)
    listed = ", ".join(names[:_MAX_NAMED]) or "none"
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"The site has no composition of this id; it has {listed}{more}."

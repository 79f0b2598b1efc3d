"""What several requests have in common: strictness, props, and where a site may lie."""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from exports.compositions import known_compositions
from exports.props import PropsTooDeepError, PropsTooLargeError, check_limits, schema_error
from renderhub.problems import Problem, pointer_part


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it doesn't know, so that a misspelt one isn't silently ignored."""

    def to_internal_value(self, data: Any) -> Any:
        """Read the fields, after a look for those that aren't there."""
        if isinstance(data, dict):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                known = ", ".join(name for name, field in self.fields.items() if not field.read_only)
                raise serializers.ValidationError(
                    {pointer_part(name): [f"There is no such field; there are {known}."] for name in unknown}
                )
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

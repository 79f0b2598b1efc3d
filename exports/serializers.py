"""What the HTTP API takes and gives. Names are camelCase here and on the wire, snake_case inside."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from exports.compositions import known_compositions
from exports.models import Codec, ExportRequest, Priority, Project
from exports.props import props_errors, schema_error
from exports.representations import queue_position
from exports.services import Stopping
from exports.states import Event, Status
from renderhub.problems import pointer_part


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
        errors = props_errors(data, None)
        if errors:
            raise serializers.ValidationError([message for _, message in errors])
        return super().to_internal_value(data)


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


class ProjectSerializer(StrictSerializer, serializers.ModelSerializer[Project]):
    """A project, as its owner sees and edits it."""

    projectId = serializers.UUIDField(source="id", read_only=True)
    compositionId = serializers.CharField(source="composition_id", max_length=200)
    serveUrl = serializers.CharField(
        source="serve_url", max_length=2000, required=False, allow_blank=True, validators=[validate_serve_url]
    )
    inputProps = PropsField(source="input_props", required=False)
    propsSchema = PropsSchemaField(
        source="props_schema",
        required=False,
        allow_null=True,
        help_text="JSON Schema (2020-12) that an export's props must meet.",
    )
    createdAt = serializers.DateTimeField(source="created_at", read_only=True)
    updatedAt = serializers.DateTimeField(source="updated_at", read_only=True)

    class Meta:
        model = Project
        fields = [
            "projectId",
            "title",
            "compositionId",
            "serveUrl",
            "codec",
            "inputProps",
            "propsSchema",
            "createdAt",
            "updatedAt",
        ]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a composition that the site doesn't have, where either of the two is set."""
        if attrs.keys() & {"composition_id", "serve_url"}:
            composition_id, serve_url = (
                attrs.get(name, getattr(self.instance, name, "")) for name in ("composition_id", "serve_url")
            )
            error = composition_error(composition_id, serve_url)
            if error:
                raise serializers.ValidationError({"compositionId": [error]})
        return attrs


class ExportOrderSerializer(StrictSerializer):
    """What an export's request may say; the rest comes from ``context["project"]``."""

    compositionId = serializers.CharField(source="composition_id", max_length=200, required=False)
    inputProps = PropsField(source="input_props", required=False)
    codec = serializers.ChoiceField(choices=Codec.choices, required=False)
    priority = serializers.ChoiceField(choices=["high", "normal", "low"], default="normal")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Fill in what the request left out, and check the merged props."""
        project: Project = self.context["project"]
        props = {**project.input_props, **attrs.get("input_props", {})}
        errors = props_errors(props, project.props_schema)
        if errors:
            nested: dict[str, list[str]] = {}
            for pointer, message in errors:
                nested.setdefault(f"inputProps{pointer}", []).append(message)
            raise serializers.ValidationError(nested)
        composition_id = attrs.get("composition_id", project.composition_id)
        error = composition_error(composition_id, project.serve_url)
        if error:
            raise serializers.ValidationError({"compositionId": [error]})
        return {
            "composition_id": composition_id,
            "codec": attrs.get("codec", project.codec),
            "serve_url": project.serve_url or settings.REMOTION_SERVE_URL,
            "input_props": props,
            "priority": Priority[attrs["priority"].upper()],
        }


class ExportAcceptedSerializer(serializers.Serializer[Any]):
    """The answer to an export's request."""

    exportId = serializers.UUIDField(source="id")
    status = serializers.ChoiceField(choices=Status.choices)
    queueMessageId = serializers.CharField(source="queue_message_id", allow_null=True)
    queuePosition = serializers.SerializerMethodField()
    attempt = serializers.IntegerField()
    createdAt = serializers.DateTimeField(source="created_at")

    def get_queuePosition(self, export: ExportRequest) -> int | None:  # noqa: N802  # DRF names it
        """Return where the export stands in the line."""
        return queue_position(export)


class CancelledSerializer(serializers.Serializer[Any]):
    """The answer to a cancellation."""

    exportId = serializers.UUIDField()
    status = serializers.ChoiceField(choices=Status.choices)
    attempt = serializers.IntegerField()
    render = serializers.ChoiceField(choices=Stopping.choices)
    detail = serializers.CharField()


class ErrorSerializer(serializers.Serializer[Any]):
    """One error, in Remotion's own words."""

    message = serializers.CharField()
    stack = serializers.CharField()


class CostSerializer(serializers.Serializer[Any]):
    """What an export has cost up to now, over all its renders."""

    amount = serializers.DecimalField(max_digits=12, decimal_places=6)
    currency = serializers.CharField()


class ExportStatusSerializer(serializers.Serializer[Any]):
    """Describes what :func:`exports.representations.status_of` returns."""

    exportId = serializers.UUIDField()
    projectId = serializers.UUIDField(allow_null=True)
    userId = serializers.CharField()
    title = serializers.CharField()
    compositionId = serializers.CharField()
    codec = serializers.ChoiceField(choices=Codec.choices)
    status = serializers.ChoiceField(choices=Status.choices)
    progress = serializers.FloatField(min_value=0, max_value=1, help_text="It never falls within an attempt.")
    etaSeconds = serializers.FloatField(
        allow_null=True,
        help_text="How long it still takes if it goes on as it went; null before that can be told.",
    )
    queuePosition = serializers.IntegerField(
        allow_null=True,
        min_value=1,
        help_text="About how many exports start until this one does; null where it need not wait.",
    )
    queueMessageId = serializers.CharField(allow_null=True, help_text="Null: not on the queue yet.")
    renderId = serializers.CharField(allow_null=True, help_text="Remotion's id, once it has started.")
    bucketName = serializers.CharField(allow_null=True)
    outputUrl = serializers.URLField(
        allow_null=True,
        help_text="Opens the file until outputExpiresAt, for whoever has it; made anew on each call. "
        "Null: there is none yet, or it is deleted after the days that the deployment keeps files.",
    )
    outputExpiresAt = serializers.DateTimeField(allow_null=True)
    outputSizeBytes = serializers.IntegerField(allow_null=True)
    errorMessage = serializers.CharField(allow_null=True, help_text="Why it failed, in Remotion's words.")
    errors = ErrorSerializer(many=True)  # type: ignore[assignment]  # the wire's name, which DRF uses too
    retryable = serializers.BooleanField(help_text="Whether trying again can help.")
    attempt = serializers.IntegerField(help_text="1, and one more with each further try.")
    cost = CostSerializer()
    createdAt = serializers.DateTimeField()
    startedAt = serializers.DateTimeField(allow_null=True)
    completedAt = serializers.DateTimeField(allow_null=True)
    updatedAt = serializers.DateTimeField()
    version = serializers.IntegerField(help_text="Higher is newer, whichever way it came.")


class HistoryItemSerializer(serializers.Serializer[Any]):
    """An export in the history: what a list shows, and nothing that costs a further look."""

    exportId = serializers.UUIDField(source="id")
    projectId = serializers.UUIDField(source="project_id", allow_null=True)
    title = serializers.CharField()
    compositionId = serializers.CharField(source="composition_id")
    codec = serializers.ChoiceField(choices=Codec.choices)
    status = serializers.ChoiceField(choices=Status.choices)
    progress = serializers.FloatField()
    attempt = serializers.IntegerField()
    errorMessage = serializers.CharField(source="error_message")
    outputSizeBytes = serializers.IntegerField(source="output_size_bytes", allow_null=True)
    createdAt = serializers.DateTimeField(source="created_at")
    completedAt = serializers.DateTimeField(source="completed_at", allow_null=True)
    version = serializers.IntegerField()


class TimelineEntrySerializer(serializers.Serializer[Any]):
    """One move of an export."""

    at = serializers.DateTimeField()
    type = serializers.ChoiceField(choices=Event.choices)
    status = serializers.ChoiceField(choices=Status.choices)
    attempt = serializers.IntegerField()
    detail = serializers.CharField(required=False)


class TimelineSerializer(serializers.Serializer[Any]):
    """Every move of an export, oldest first."""

    events = TimelineEntrySerializer(many=True)

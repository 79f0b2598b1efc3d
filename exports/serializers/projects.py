"""What a project takes and shows."""

from typing import Any

from rest_framework import serializers

from exports.models import Project
from exports.serializers.fields import (
    PropsField,
    PropsSchemaField,
    StrictSerializer,
    composition_error,
    validate_serve_url,
)


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

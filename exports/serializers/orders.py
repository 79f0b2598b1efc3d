"""What a request for an export takes, and what is answered to it."""

from collections.abc import Callable
from functools import cache
from typing import Any

from django.conf import settings
from django.utils.functional import cached_property
from rest_framework import serializers

from exports.models import Codec, ExportRequest, Priority, Project
from exports.props import Check, props_check
from exports.representations import queue_position
from exports.serializers.fields import (
    PropsField,
    StrictSerializer,
    composition_error,
    refuse_beyond_limits,
)
from exports.services import Stopping
from exports.states import SHOWN


class ExportOrderSerializer(StrictSerializer):
    """What an export's request may say; the rest comes from ``context["project"]``."""

    compositionId = serializers.CharField(source="composition_id", max_length=200, required=False)
    inputProps = PropsField(source="input_props", required=False)
    codec = serializers.ChoiceField(choices=Codec.choices, required=False)
    priority = serializers.ChoiceField(choices=["high", "normal", "low"], default="normal")

    @cached_property
    def _composition_error(self) -> Callable[[str, str], str | None]:
        # Once for all rows of a batch that have the same.
        return cache(composition_error)

    @cached_property
    def _check(self) -> Check:
        # Once for all rows of a batch.
        return props_check(self.context["project"].props_schema)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Fill in what the request left out, and check the merged props."""
        project: Project = self.context["project"]
        props = {**project.input_props, **attrs.get("input_props", {})}
        refuse_beyond_limits(props)
        errors = self._check(props)
        if errors:
            nested: dict[str, list[str]] = {}
            for pointer, message in errors:
                nested.setdefault(f"inputProps{pointer}", []).append(message)
            raise serializers.ValidationError(nested)
        composition_id = attrs.get("composition_id", project.composition_id)
        error = self._composition_error(composition_id, project.serve_url)
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
    status = serializers.ChoiceField(choices=SHOWN)
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
    status = serializers.ChoiceField(choices=SHOWN)
    attempt = serializers.IntegerField()
    render = serializers.ChoiceField(choices=Stopping.choices)
    detail = serializers.CharField()

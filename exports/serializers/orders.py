"""What a request for an export takes, and what is answered to it."""

from collections.abc import Callable
from functools import cache
from typing import Any

from django.conf import settings
from django.utils.functional import cached_property
from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from exports.models import Codec, ExportRequest, Priority, Project
from exports.props import Check, props_check
from exports.render_options import MAX_FRAMES, frame_error, option_errors
from exports.representations import queue_position
from exports.serializers import examples
from exports.serializers.fields import (
    MetadataField,
    PropsField,
    StrictSerializer,
    composition_error,
    refuse_beyond_limits,
)
from exports.serializers.render_options import RenderOptionsSerializer
from exports.services import Stopping
from exports.states import SHOWN
from lambda_worker.contract import STILLS, RenderOptions


class ExportOrderSerializer(StrictSerializer):
    """What an export's request may say; the rest comes from ``context["project"]``."""

    compositionId = serializers.CharField(source="composition_id", max_length=200, required=False)
    inputProps = PropsField(source="input_props", required=False)
    codec = serializers.ChoiceField(choices=Codec.choices, required=False)
    frame = serializers.IntegerField(
        min_value=-MAX_FRAMES,
        max_value=MAX_FRAMES - 1,
        required=False,
        help_text="Of a still: which frame it shows, the first being 0 and -1 the last.",
    )
    renderOptions = RenderOptionsSerializer(required=False)
    metadata = MetadataField(required=False)
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
        """Fill in what the request left out, and check what only the whole of it can tell."""
        project: Project = self.context["project"]
        props = {**project.input_props, **attrs.get("input_props", {})}
        refuse_beyond_limits(props)
        composition_id = attrs.get("composition_id", project.composition_id)
        codec = attrs.get("codec", project.codec)
        frame = attrs.get("frame")
        options = RenderOptions.parse(attrs.get("renderOptions", {}))
        errors: dict[str, list[str]] = {}
        for pointer, message in self._check(props):
            errors.setdefault(f"inputProps{pointer}", []).append(message)
        for pointer, message in option_errors(options, codec=codec):
            errors.setdefault(f"renderOptions{pointer}", []).append(message)
        if wrong := frame_error(frame, options, codec=codec):
            errors["frame"] = [wrong]
        if wrong := self._composition_error(composition_id, project.serve_url):
            errors["compositionId"] = [wrong]
        if errors:
            raise serializers.ValidationError(errors)
        return {
            "composition_id": composition_id,
            "codec": codec,
            "frame": (frame or 0) if codec in STILLS else None,
            "render_options": options,
            "serve_url": project.serve_url or settings.REMOTION_SERVE_URL,
            "input_props": props,
            "metadata": attrs.get("metadata", {}),
            "priority": Priority[attrs["priority"].upper()],
        }


@extend_schema_serializer(
    examples=[OpenApiExample("accepted", value=examples.ACCEPTED, response_only=True, status_codes=["202"])]
)
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


@extend_schema_serializer(examples=[OpenApiExample("waited", value=examples.CANCELLED, response_only=True)])
class CancelledSerializer(serializers.Serializer[Any]):
    """The answer to a cancellation."""

    exportId = serializers.UUIDField()
    status = serializers.ChoiceField(choices=SHOWN)
    attempt = serializers.IntegerField()
    render = serializers.ChoiceField(choices=Stopping.choices)
    detail = serializers.CharField()

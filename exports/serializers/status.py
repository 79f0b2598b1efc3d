"""What an export shows of itself."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from exports.models import Codec
from exports.serializers import examples
from exports.serializers.costs import CostPartsSerializer, DollarsField
from exports.serializers.fields import MetadataField
from exports.serializers.render_options import RenderOptionsSerializer
from exports.states import SHOWN, Event


class ErrorSerializer(serializers.Serializer[Any]):
    """One error, in Remotion's own words."""

    message = serializers.CharField()
    stack = serializers.CharField()


class CostSerializer(serializers.Serializer[Any]):
    """What an export has cost up to now, over all its attempts, and what is still to come."""

    amount = DollarsField(help_text="All that it has cost, whether it was completed or not.")
    currency = serializers.CharField(help_text="USD.")
    estimated = DollarsField(help_text="What it will probably cost besides; 0 once it has ended.")
    parts = CostPartsSerializer(help_text="What the amount is made of.")


@extend_schema_serializer(examples=[OpenApiExample("completed", value=examples.STATUS, response_only=True)])
class ExportStatusSerializer(serializers.Serializer[Any]):
    """Describes what :func:`exports.representations.status_of` returns."""

    exportId = serializers.UUIDField()
    projectId = serializers.UUIDField(allow_null=True)
    userId = serializers.CharField()
    title = serializers.CharField()
    compositionId = serializers.CharField()
    codec = serializers.ChoiceField(choices=Codec.choices)
    frame = serializers.IntegerField(
        allow_null=True, help_text="Of a still: which frame it shows, as it was asked for. Null: no still."
    )
    renderOptions = RenderOptionsSerializer(help_text="What was asked for of how to render.")
    metadata = MetadataField()
    status = serializers.ChoiceField(choices=SHOWN)
    progress = serializers.FloatField(min_value=0, max_value=1, help_text="It never falls within an attempt.")
    queuePosition = serializers.IntegerField(
        allow_null=True,
        min_value=1,
        help_text="About how many exports start until this one does; null where it need not wait.",
    )
    queueMessageId = serializers.CharField(allow_null=True, help_text="Null: not on the queue yet.")
    renderId = serializers.CharField(allow_null=True, help_text="Remotion's id, once it has started.")
    bucketName = serializers.CharField(allow_null=True)
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
    etaSeconds = serializers.FloatField(
        allow_null=True,
        help_text="How long the render still takes if its frames go on as they went; null before that can "
        "be told, and while it waits.",
    )
    outputUrl = serializers.URLField(
        allow_null=True,
        help_text="Opens the file in a browser until outputExpiresAt, for whoever has it; made anew on each "
        "call. Null: there is none yet, or it is deleted after the days that the deployment keeps files.",
    )
    downloadUrl = serializers.URLField(
        allow_null=True, help_text="The same file, to be saved under a name made of the title."
    )
    outputExpiresAt = serializers.DateTimeField(
        allow_null=True, help_text="When both addresses stop working; null: there are none, or never."
    )


class TimelineEntrySerializer(serializers.Serializer[Any]):
    """One move of an export."""

    at = serializers.DateTimeField()
    type = serializers.ChoiceField(choices=Event.choices)
    status = serializers.ChoiceField(choices=SHOWN)
    attempt = serializers.IntegerField()
    detail = serializers.CharField(required=False)


@extend_schema_serializer(
    examples=[OpenApiExample("processing", value=examples.TIMELINE, response_only=True)]
)
class TimelineSerializer(serializers.Serializer[Any]):
    """Every move of an export, oldest first."""

    events = TimelineEntrySerializer(many=True)

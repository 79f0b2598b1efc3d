"""What an export shows of itself."""

from typing import Any

from rest_framework import serializers

from exports.models import Codec
from exports.states import SHOWN, Event


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
    status = serializers.ChoiceField(choices=SHOWN)
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


class TimelineEntrySerializer(serializers.Serializer[Any]):
    """One move of an export."""

    at = serializers.DateTimeField()
    type = serializers.ChoiceField(choices=Event.choices)
    status = serializers.ChoiceField(choices=SHOWN)
    attempt = serializers.IntegerField()
    detail = serializers.CharField(required=False)


class TimelineSerializer(serializers.Serializer[Any]):
    """Every move of an export, oldest first."""

    events = TimelineEntrySerializer(many=True)

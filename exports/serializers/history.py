"""What a list of exports shows."""

from typing import Any

from rest_framework import serializers

from exports.models import Codec
from exports.states import SHOWN


class HistoryItemSerializer(serializers.Serializer[Any]):
    """An export in the history: what a list shows, and nothing that costs a further look."""

    exportId = serializers.UUIDField(source="id")
    projectId = serializers.UUIDField(source="project_id", allow_null=True)
    title = serializers.CharField()
    compositionId = serializers.CharField(source="composition_id")
    codec = serializers.ChoiceField(choices=Codec.choices)
    status = serializers.ChoiceField(choices=SHOWN)
    progress = serializers.FloatField()
    attempt = serializers.IntegerField()
    errorMessage = serializers.CharField(source="error_message")
    outputSizeBytes = serializers.IntegerField(source="output_size_bytes", allow_null=True)
    createdAt = serializers.DateTimeField(source="created_at")
    completedAt = serializers.DateTimeField(source="completed_at", allow_null=True)
    version = serializers.IntegerField()

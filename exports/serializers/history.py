"""What a list of exports shows, as JSON and as CSV."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from exports.models import Codec, ExportRequest
from exports.representations import iso
from exports.serializers import examples
from exports.serializers.fields import MetadataField
from exports.states import SHOWN


@extend_schema_serializer(examples=[OpenApiExample("completed", value=examples.ITEM, response_only=True)])
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
    metadata = MetadataField()
    errorMessage = serializers.CharField(source="error_message")
    outputSizeBytes = serializers.IntegerField(source="output_size_bytes", allow_null=True)
    createdAt = serializers.DateTimeField(source="created_at")
    completedAt = serializers.DateTimeField(source="completed_at", allow_null=True)
    version = serializers.IntegerField()


COLUMNS: Final = (
    "exportId",
    "projectId",
    "title",
    "compositionId",
    "codec",
    "status",
    "progress",
    "attempt",
    "errorMessage",
    "outputSizeBytes",
    "createdAt",
    "completedAt",
    "metadata",
)
"""What a CSV file's first line says."""

# With one of these at its beginning, spreadsheets take a text for a formula, and would run it.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_parts(chunks: Iterable[Iterable[ExportRequest]]) -> Iterator[bytes]:
    """Yield a CSV file (RFC 4180, UTF-8), its head first, then each chunk of exports.

    A text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    yield _csv([COLUMNS])
    for chunk in chunks:
        yield _csv(map(_cells, chunk))


def _cells(export: ExportRequest) -> tuple[Any, ...]:
    return (
        export.pk,
        export.project_id,
        _text(export.title),
        _text(export.composition_id),
        export.codec,
        export.status,
        round(export.progress, 4),
        export.attempt,
        _text(export.error_message),
        export.output_size_bytes,
        iso(export.created_at),
        iso(export.completed_at),
        json.dumps(export.metadata, ensure_ascii=False) if export.metadata else None,
    )


def _text(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _csv(lines: Iterable[Iterable[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()

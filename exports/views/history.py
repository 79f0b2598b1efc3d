"""The exports that one has asked for."""

from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exports.history import History
from exports.models import Codec, ExportRequest
from exports.serializers.history import COLUMNS, HistoryItemSerializer, csv_parts
from exports.serializers.queries import filters_of
from exports.states import Status
from exports.views.pages import NewestFirst
from renderhub.openapi import refusal

_MANY: Final = {"explode": True, "style": "form"}

_FILTERS: Final = [
    OpenApiParameter(
        "status",
        {"type": "array", "items": {"type": "string", "enum": Status.values}},
        description="One of these, given several times or with commas between.",
        explode=True,
        style="form",
        examples=[OpenApiExample("what did not succeed", value=["failed", "cancelled"])],
    ),
    OpenApiParameter("projectId", OpenApiTypes.UUID, description="Of this project."),
    OpenApiParameter("codec", enum=Codec.values, description="In this codec."),
    OpenApiParameter(
        "metadata",
        {"type": "object", "additionalProperties": {"type": "string"}},
        description="With all of these pairs, each as `metadata[key]=value`.",
        explode=True,
        style="deepObject",
        examples=[OpenApiExample("an order", value={"orderId": "6735"})],
    ),
    OpenApiParameter(
        "createdAfter",
        OpenApiTypes.DATETIME,
        description="Created at this moment or later, to the millisecond. A date is its midnight; without an "
        "offset it is UTC.",
    ),
    OpenApiParameter(
        "createdBefore",
        OpenApiTypes.DATETIME,
        description="Created before this moment, to the millisecond. So two spans that meet share nothing.",
    ),
]

_INVALID: Final = refusal(
    HTTPStatus.BAD_REQUEST,
    "invalid-query",
    "The query is not valid; errors says where.",
    "A filter is not known or not what it must be, or the cursor is none.",
    errors=[{"parameter": "codec", "detail": "It is one of h264, h265, vp8."}],
)

_CHUNK: Final = 500
"""How many exports of a CSV file are in memory at once."""

_NO_FILTERS: Final = ("cursor", "pageSize", "format")


class ExportHistoryView(ListAPIView[ExportRequest]):
    """One's own exports, newest first."""

    serializer_class = HistoryItemSerializer
    pagination_class = NewestFirst
    queryset = ExportRequest.objects.none()

    @extend_schema(
        operation_id="listExports",
        summary="List one's own exports, newest first",
        description=(
            "`next` and `previous` hold the addresses of the pages beside this one. Pages stay put while new "
            "exports come in. A page may hold fewer than `pageSize`, even none, although `next` is there: "
            "where several filters have hardly an export in common, it ends when enough was looked at."
        ),
        tags=["exports"],
        parameters=_FILTERS,
        responses={200: HistoryItemSerializer(many=True), **_INVALID},
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return a page of the exports that the filters let through."""
        history = History(request.user, filters_of(request.query_params, besides=_NO_FILTERS))
        page = self.paginate_queryset(history)  # type: ignore[arg-type]  # its pagination's own
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class _CsvRenderer(JSONRenderer):
    """Lets clients ask for CSV by ``Accept``. It renders refusals alone, which are JSON."""

    media_type = "text/csv"
    format = "csv"


class ExportHistoryCsvView(APIView):
    """One's own exports as a file for spreadsheets."""

    renderer_classes = [_CsvRenderer, JSONRenderer]

    @extend_schema(
        operation_id="downloadExports",
        summary="Download one's own exports as CSV, newest first",
        description=(
            f"All that the filters let through, with the columns {', '.join(COLUMNS)} (RFC 4180, UTF-8). "
            "A text that a spreadsheet would take for a formula has an apostrophe before it."
        ),
        tags=["exports"],
        parameters=_FILTERS,
        responses={
            (200, "text/csv"): OpenApiResponse(
                OpenApiTypes.STR,
                description="The file, sent while it is read.",
                examples=[
                    OpenApiExample(
                        "a file",
                        value=f"{','.join(COLUMNS)}\r\n"
                        "01936f5e-7b8a-7c3d-9e2f-4a5b6c7d8e9f,01936f5e-0000-7c3d-9e2f-4a5b6c7d8e9f,Q3,"
                        "MainComposition,h264,completed,1.0,1,,1048576,2026-01-02T03:04:05.678Z,"
                        '2026-01-02T03:04:15.678Z,"{""orderId"": ""6735""}"\r\n',
                        media_type="text/csv",
                    )
                ],
            ),
            **_INVALID,
        },
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Send the exports that the filters let through, however many, a chunk at a time."""
        history = History(request.user, filters_of(request.query_params))
        parts = csv_parts(history.chunks(_CHUNK))
        # Each kind of server would gather the other kind of iterator in memory before it sends a byte.
        is_async = isinstance(request._request, ASGIRequest)
        return StreamingHttpResponse(
            _in_its_thread(parts) if is_async else parts,
            content_type="text/csv; charset=utf-8; header=present",
            headers={
                "Content-Disposition": f'attachment; filename="exports-{timezone.now():%Y-%m-%d}.csv"',
                "Cache-Control": "private, no-store",
            },
        )


async def _in_its_thread(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the parts, each read in the request's thread, whose connection to the database they use."""
    read = sync_to_async(lambda: next(parts, None))
    while (part := await read()) is not None:
        yield part

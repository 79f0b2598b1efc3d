"""The exports that one has asked for."""

from http import HTTPStatus
from typing import Any, Final

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from exports.history import History
from exports.models import Codec, ExportRequest
from exports.serializers.history import HistoryItemSerializer
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

"""What one's exports cost."""

from http import HTTPStatus
from typing import Final

from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from exports.costs import CURRENCY, costs_by, present_prices
from exports.serializers.costs import CostsAnswerSerializer, CostsQuerySerializer
from exports.serializers.queries import invalid_query
from renderhub.exceptions import flat_errors
from renderhub.openapi import refusal

_SUM: Final = {
    "exports": 12,
    "running": 2,
    "spent": "0.13166241",
    "estimated": "0.0215",
    "parts": {
        "remotion": "0.0718",
        "worker": "0.00026901",
        "queue": "0.0001584",
        "storage": "0.012054",
        "transfer": "0.047381",
    },
}

_EXAMPLE: Final = OpenApiExample(
    "by project",
    value={
        "groupBy": "project",
        "createdAfter": "2026-10-01T00:00:00Z",
        "createdBefore": "2026-11-01T00:00:00Z",
        "currency": "USD",
        "prices": {"region": "us-east-1", "asOf": "2026-08-16"},
        "total": _SUM,
        "groups": [
            {"key": "01936f5d-1a2b-7c3d-8e4f-5a6b7c8d9e0f", "title": "Quarterly figures", **_SUM},
        ],
    },
)


class ExportCostsView(APIView):
    """Tells what one's own exports have cost, and what those that run will."""

    @extend_schema(
        operation_id="getExportCosts",
        summary="See what one's own exports cost",
        description=(
            "An export counts where it was asked for, with all of its attempts: failed and cancelled renders "
            "cost too. Amounts are US dollars at AWS's list prices, without taxes, discounts and free "
            "allowances; `prices` says whose and when. `spent` and `estimated` together are to be expected."
        ),
        tags=["exports"],
        parameters=[CostsQuerySerializer],
        responses={
            200: OpenApiResponse(CostsAnswerSerializer, examples=[_EXAMPLE]),
            **refusal(
                HTTPStatus.BAD_REQUEST,
                "invalid-query",
                "The query is not valid; errors says where.",
                "A parameter is unknown or out of bounds.",
                errors=[{"parameter": "groupBy", "detail": '"week" is not a valid choice.'}],
            ),
        },
    )
    def get(self, request: Request) -> Response:
        """Add up what one's own exports have cost, by day, project or status."""
        parameters = request.query_params.dict()
        parameters.pop(api_settings.URL_FORMAT_OVERRIDE, None)
        query = CostsQuerySerializer(data=parameters)
        if not query.is_valid():
            raise invalid_query((pointer.lstrip("/"), each) for pointer, each in flat_errors(query.errors))
        total, groups = costs_by(user_id=request.user.pk, **query.validated_data)
        answer = {
            **query.validated_data,
            "currency": CURRENCY,
            "prices": present_prices(),
            "total": total,
            "groups": groups,
        }
        return Response(CostsAnswerSerializer(answer).data)

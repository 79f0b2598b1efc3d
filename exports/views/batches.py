"""Batches over HTTP: many exports at once, as JSON or as CSV."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import IO, Any, Final
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.http import parse_header_parameters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exports import queue, services
from exports.batch_csv import CSVError, Table, items_of, read_table
from exports.idempotency import IN_USE, REUSED, KeyInUseError, KeyReusedError
from exports.models import Batch, Project
from exports.representations import batch_answer, batch_of
from exports.serializers.batches import (
    BatchAcceptedSerializer,
    BatchOrderSerializer,
    BatchReportSerializer,
    BatchRetriedSerializer,
    BatchSerializer,
    check_number,
    check_rows,
    order_schema,
    report_of,
)
from exports.serializers.queries import invalid_query
from exports.views.shared import IDEMPOTENCY_KEY, QUOTA_EXCEEDED, REPLAYED, asked_key, over_quota, reused
from renderhub.openapi import refusal
from renderhub.parsers import StrictJSONParser, read_body
from renderhub.problems import Problem

_MAX_DIGITS: Final = 10
_INVALID: Final = "Some rows are not valid, and nothing was recorded; errors says which, and what is wrong."


class BatchJSONParser(StrictJSONParser):
    """JSON of the size that a batch may have."""

    max_bytes = settings.MAX_BATCH_BYTES


class CSVParser(BaseParser):
    """CSV in UTF-8."""

    media_type = "text/csv"

    def parse(  # type: ignore[override]  # anything will do
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Table:
        """Return the table.

        Raises:
            Problem: the body is larger than a batch may be.
            ParseError: it is no CSV.
            UnsupportedMediaType: it is said to be in another encoding than UTF-8.
        """
        charset = parse_header_parameters(media_type or "")[1].get("charset", "utf-8")
        if charset.lower().replace("_", "-") not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMediaType(media_type or "", "A batch's CSV must be in UTF-8.")
        try:
            return read_table(read_body(stream, max_bytes=settings.MAX_BATCH_BYTES))
        except CSVError as error:
            raise ParseError(f"The body is no valid CSV: {error}.") from error


_REPORT: Final = {
    "total": 3,
    "accepted": 2,
    "refused": 1,
    "errors": [{"row": 2, "pointer": "/inputProps/title", "detail": '7 is not of type "string"'}],
}
_ACCEPTED: Final = {
    **_REPORT,
    "batchId": "01936f5e-7b8a-7c3d-9e2f-4a5b6c7d8e9f",
    "projectId": "01936f5e-7b8a-7c3d-9e2f-4a5b6c7d8e90",
    "createdAt": "2026-01-02T03:04:05.678Z",
}
_BATCH: Final = {
    **_ACCEPTED,
    "counts": {"pending": 0, "processing": 1, "completed": 0, "failed": 1, "cancelled": 0},
    "progress": 0.75,
    "failures": [
        {
            "row": 3,
            "exportId": "01936f5e-7b8a-7c3d-9e2f-4a5b6c7d8e9f",
            "errorCode": "composition_failed",
            "errorMessage": "The chart has no data",
            "retryable": False,
        }
    ],
    "nextAfterRow": None,
}
_CSV: Final = (
    "title,values,$codec,$priority\r\n"
    'Q3,"[{""label"": ""Mon"", ""value"": 312}]",h264,high\r\n'
    '"A title, with a comma",,vp9,\r\n'
)


def _flag(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.BOOL, description=description, default=False)


class BatchCreateView(APIView):
    """Asks for many exports of a project at once."""

    parser_classes = [BatchJSONParser, CSVParser]
    throttle_scope = "batches"

    @extend_schema(
        operation_id="createBatch",
        summary="Ask for many exports at once",
        description=(
            "1 to 1,000 rows, 10,000,000 bytes at the most, as JSON or as CSV. All of them are recorded or "
            "none, also where the server dies in between: nothing of it renders then, and the same request "
            "with the same `Idempotency-Key` completes it, within a day. They wait in the rows' order.\n\n"
            "CSV (RFC 4180) is in UTF-8, with or without a byte order mark. Its first line names the "
            "columns: `title` for a prop, `chart.title` for one inside of another, with a dollar sign the "
            "fields of an export's request: `$codec`, `$priority`, `$compositionId`. An empty cell says "
            "nothing, so that the project's value counts. What a cell means is told by the project's "
            "propsSchema: numbers, `true` and `false`, `null`, lists and objects as JSON. All else is text."
        ),
        tags=["exports"],
        parameters=[
            IDEMPOTENCY_KEY,
            _flag("dryRun", "Check the rows, and record nothing."),
            _flag("partial", "Record those that are right, though others are wrong."),
        ],
        request={"application/json": BatchOrderSerializer, "text/csv": OpenApiTypes.STR},
        examples=[
            OpenApiExample(
                "rows",
                value={"items": [{"inputProps": {"title": "Q3"}}, {"codec": "vp9", "priority": "low"}]},
                media_type="application/json",
                request_only=True,
            ),
            OpenApiExample("a CSV file", value=_CSV, media_type="text/csv", request_only=True),
        ],
        responses={
            200: OpenApiResponse(
                BatchReportSerializer,
                description="With `dryRun`: what it would be. Nothing is recorded.",
                examples=[OpenApiExample("report", value=_REPORT)],
            ),
            202: OpenApiResponse(
                BatchAcceptedSerializer,
                description="It is recorded. `errors` is empty but with `partial`.",
                examples=[OpenApiExample("accepted", value=_ACCEPTED)],
            ),
            **refusal(
                HTTPStatus.BAD_REQUEST,
                "batch-invalid",
                _INVALID,
                "The body can't be read (parse-error), is no batch (invalid), some of its rows are wrong "
                "(batch-invalid), the query is not valid (invalid-query), or the key is none "
                "(idempotency-key-invalid).",
                **_REPORT,
            ),
            **refusal(
                HTTPStatus.CONFLICT,
                "idempotency-key-in-use",
                IN_USE,
                "The same request was sent again after the project was changed, or was given up after a day.",
            ),
            **refusal(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                REUSED,
                "Another request has used the `Idempotency-Key`.",
            ),
            **QUOTA_EXCEEDED,
        },
    )
    def post(self, request: Request, project_id: UUID) -> Response:
        """Record many exports, all or none."""
        project = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
        dry_run, partial = (_asked_flag(request, name) for name in ("dryRun", "partial"))
        data: Any = request.data
        sent = ["csv", data.header, data.rows] if isinstance(data, Table) else data
        key = asked_key(request, [str(project_id), partial, sent])
        if dry_run:
            return Response(report_of(check_rows(_items(data, project), project)))
        sent_to = queue.get_queue()
        try:
            # Before the rows are checked, for the project may have changed since.
            batch = services.find_batch(key=key, queue=sent_to, now=timezone.now())
            headers = dict(REPLAYED) if batch else {}
            if batch is None:
                order = check_rows(_items(data, project), project)
                if not order.orders or (order.refusals and not partial):
                    raise Problem(HTTPStatus.BAD_REQUEST, "batch-invalid", _INVALID, **report_of(order))
                batch = services.create_batch(
                    project=project, order=order, key=key, queue=sent_to, now=timezone.now()
                )
        except services.QuotaExceededError as error:
            raise over_quota(error) from error
        except KeyReusedError as error:
            raise reused(error) from error
        except KeyInUseError as error:
            raise Problem(HTTPStatus.CONFLICT, "idempotency-key-in-use", str(error)) from error
        headers["Location"] = request.build_absolute_uri(reverse("batch", args=[batch.pk]))
        return Response(batch_answer(batch), status=HTTPStatus.ACCEPTED, headers=headers)


class BatchView(APIView):
    """Tells how a batch stands."""

    @extend_schema(
        operation_id="getBatch",
        summary="See how a batch stands",
        tags=["exports"],
        parameters=[
            OpenApiParameter(
                "afterRow",
                {"type": "integer", "minimum": 0, "maximum": 10 ** (_MAX_DIGITS - 1) - 1},
                description="List the failures behind this row.",
                default=0,
            )
        ],
        responses={
            200: OpenApiResponse(BatchSerializer, examples=[OpenApiExample("rendering", value=_BATCH)]),
            **refusal(
                HTTPStatus.BAD_REQUEST,
                "invalid-query",
                "The query is not valid; errors says where.",
                "`afterRow` is no number of a row.",
                errors=[{"parameter": "afterRow", "detail": "It is the number of a row."}],
            ),
        },
    )
    def get(self, request: Request, batch_id: UUID) -> Response:
        """Return how many of a batch's exports stand where, and which have failed."""
        batch = get_object_or_404(_seen_by(request), pk=batch_id)
        after_row = request.query_params.get("afterRow", "0")
        if not (after_row.isascii() and after_row.isdigit() and len(after_row) < _MAX_DIGITS):
            raise invalid_query([("afterRow", "It is the number of a row.")])
        return Response(batch_of(batch, after_row=int(after_row)))


class BatchRetryView(APIView):
    """Asks for the failed exports of a batch again."""

    @extend_schema(
        operation_id="retryBatch",
        summary="Render the failed exports of a batch again",
        description="Cancelled ones stay as they are.",
        tags=["exports"],
        request=None,
        responses={
            202: OpenApiResponse(
                BatchRetriedSerializer,
                description="They wait again, if any had.",
                examples=[OpenApiExample("one", value={"batchId": _ACCEPTED["batchId"], "retried": 1})],
            ),
            **QUOTA_EXCEEDED,
        },
    )
    def post(self, request: Request, batch_id: UUID) -> Response:
        """Render the failed exports of a batch again."""
        batch = get_object_or_404(_seen_by(request).only("pk"), pk=batch_id)
        try:
            retried = services.retry_batch(
                batch_id=batch.pk, by=request.user, queue=queue.get_queue(), now=timezone.now()
            )
        except services.QuotaExceededError as error:
            raise over_quota(error) from error
        return Response({"batchId": str(batch.pk), "retried": retried}, status=HTTPStatus.ACCEPTED)


def _seen_by(request: Request) -> QuerySet[Batch]:
    return Batch.objects.visible_to(request.user)


def _asked_flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false")
    if value not in ("true", "false"):
        raise invalid_query([(name, "It is true or false.")])
    return value == "true"


def _items(data: Any, project: Project) -> Any:
    """Return the rows of a batch's body, each unchecked."""
    if isinstance(data, Table):
        check_number(len(data.rows))
        try:
            return items_of(data, props_schema=project.props_schema, fields=order_schema())
        except CSVError as error:
            raise ParseError(f"The body is no batch: {error}.") from error
    order = BatchOrderSerializer(data=data)
    order.is_valid(raise_exception=True)
    return order.validated_data["items"]

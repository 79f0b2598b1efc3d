"""One export over HTTP: ask for it, follow it, cancel it, try again."""

from http import HTTPStatus
from uuid import UUID

from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exports import queue, services
from exports.idempotency import KeyReusedError
from exports.models import Project
from exports.representations import status_of
from exports.serializers.orders import CancelledSerializer, ExportAcceptedSerializer, ExportOrderSerializer
from exports.serializers.status import ExportStatusSerializer, TimelineSerializer
from exports.views.shared import (
    IDEMPOTENCY_KEY,
    REPLAYED,
    UNPROCESSABLE,
    asked_key,
    conflict,
    reused,
    seen_by,
)
from renderhub.openapi import refusal

_ACCEPTED = OpenApiExample(
    "accepted",
    value={
        "exportId": "01936f5e-7b8a-7c3d-9e2f-4a5b6c7d8e9f",
        "status": "pending",
        "queueMessageId": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "attempt": 1,
        "createdAt": "2026-01-02T03:04:05.678000Z",
    },
)


class ExportCreateView(APIView):
    """Asks for an export of a project."""

    @extend_schema(
        operation_id="createExport",
        summary="Ask for an export",
        description=(
            "Everything in the body is optional: what it leaves out is the project's. Its `inputProps` are "
            "merged over the project's, one key at a time. Nothing is recorded unless all of it is right."
        ),
        tags=["exports"],
        parameters=[IDEMPOTENCY_KEY],
        request=ExportOrderSerializer,
        examples=[
            OpenApiExample("as the project is", value={}, request_only=True),
            OpenApiExample("props", value={"inputProps": {"title": "Q3"}, "codec": "vp9"}, request_only=True),
        ],
        responses={
            202: OpenApiResponse(
                ExportAcceptedSerializer,
                description="It is recorded. `queueMessageId` is null where the queue couldn't take it yet.",
                examples=[_ACCEPTED],
            ),
            **UNPROCESSABLE,
        },
    )
    def post(self, request: Request, project_id: UUID) -> Response:
        """Record an export and put it on the queue. Everything in the body is optional."""
        project = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
        key = asked_key(request, [str(project_id), request.data])
        headers = {}
        try:
            # Before the body is checked, for the project may have changed since.
            services.look_for_created(key=key)
            order = ExportOrderSerializer(data=request.data, context={"project": project})
            order.is_valid(raise_exception=True)
            export = services.create_export(
                project=project, key=key, queue=queue.get_queue(), now=timezone.now(), **order.validated_data
            )
        except services.AlreadyCreatedError as found:
            export, headers = found.export, dict(REPLAYED)
        except KeyReusedError as error:
            raise reused(error) from error
        headers["Location"] = request.build_absolute_uri(reverse("export-status", args=[export.pk]))
        return Response(ExportAcceptedSerializer(export).data, status=HTTPStatus.ACCEPTED, headers=headers)


class ExportStatusView(APIView):
    """Tells where an export stands."""

    @extend_schema(
        operation_id="getExportStatus",
        summary="See where an export stands",
        tags=["exports"],
        responses=ExportStatusSerializer,
    )
    def get(self, request: Request, export_id: UUID) -> Response:
        """Return the export's status, with an address of its file once it is completed."""
        export = get_object_or_404(seen_by(request).defer("input_props", "timeline"), pk=export_id)
        return Response(status_of(export, now=timezone.now()))


class ExportEventsView(APIView):
    """Tells what happened to an export."""

    @extend_schema(
        operation_id="getExportEvents",
        summary="Read an export's timeline, oldest first",
        tags=["exports"],
        responses=TimelineSerializer,
    )
    def get(self, request: Request, export_id: UUID) -> Response:
        """Return the export's timeline, oldest first."""
        export = get_object_or_404(seen_by(request).only("timeline"), pk=export_id)
        return Response({"events": export.timeline})


class ExportRetryView(APIView):
    """Asks for a further attempt."""

    @extend_schema(
        operation_id="retryExport",
        summary="Render a failed or cancelled export again",
        tags=["exports"],
        request=None,
        responses={
            202: OpenApiResponse(ExportAcceptedSerializer, description="A further attempt has begun."),
            **refusal(
                HTTPStatus.CONFLICT,
                "wrong-status",
                "Only a failed or cancelled export can be retried; this one is completed.",
                "The export is running, or completed.",
                exportStatus="completed",
            ),
        },
    )
    def post(self, request: Request, export_id: UUID) -> Response:
        """Render a failed or cancelled export again."""
        get_object_or_404(seen_by(request).only("pk"), pk=export_id)
        try:
            export = services.retry_export(
                export_id=export_id, by=request.user, queue=queue.get_queue(), now=timezone.now()
            )
        except services.WrongStatusError as error:
            raise conflict(error) from error
        return Response(ExportAcceptedSerializer(export).data, status=HTTPStatus.ACCEPTED)


class ExportCancelView(APIView):
    """Cancels an export."""

    @extend_schema(
        operation_id="cancelExport",
        summary="Cancel an export",
        tags=["exports"],
        request=None,
        responses={
            200: OpenApiResponse(
                CancelledSerializer,
                description="It is cancelled; render says what that means for its render.",
            ),
            **refusal(
                HTTPStatus.CONFLICT,
                "wrong-status",
                "Only an export that has not ended can be cancelled; this one is completed.",
                "It has ended.",
                exportStatus="completed",
            ),
        },
    )
    def post(self, request: Request, export_id: UUID) -> Response:
        """Cancel an export that has not ended, and stop its render where that is still possible."""
        get_object_or_404(seen_by(request).only("pk"), pk=export_id)
        try:
            export, stopping = services.cancel_export(
                export_id=export_id, by=request.user, queue=queue.get_queue(), now=timezone.now()
            )
        except services.WrongStatusError as error:
            raise conflict(error) from error
        return Response(
            {
                "exportId": str(export.pk),
                "status": export.status,
                "attempt": export.attempt,
                "render": stopping.value,
                "detail": stopping.label,
            }
        )

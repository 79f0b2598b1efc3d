"""One export over HTTP: ask for it, follow it, cancel it, try again."""

from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from exports import queue, services
from exports.idempotency import KeyReusedError
from exports.models import ExportRequest, Project
from exports.representations import at_present, facts_of, has_output
from exports.serializers import examples
from exports.serializers.orders import CancelledSerializer, ExportAcceptedSerializer, ExportOrderSerializer
from exports.serializers.status import ExportStatusSerializer, TimelineSerializer
from exports.views.shared import (
    IDEMPOTENCY_KEY,
    QUOTA_EXCEEDED,
    REPLAYED,
    UNPROCESSABLE,
    asked_key,
    conflict,
    is_known,
    over_quota,
    reused,
    seen_by,
    weak_tag,
)
from renderhub.openapi import refusal
from renderhub.problems import Problem

log = structlog.get_logger(__name__)


_FILE_STAYS: Final = "The file can't be deleted at the moment, so the export stays. Ask again in a while."


class ExportCreateView(APIView):
    """Asks for an export of a project."""

    throttle_scope = "exports"

    @extend_schema(
        operation_id="createExport",
        summary="Ask for an export",
        description=(
            "Everything in the body is optional: what it leaves out is the project's. Its `inputProps` are "
            "merged over the project's, one key at a time. `renderOptions` are Remotion's own; one that the "
            "codec can't have is refused. The codecs png, jpeg, webp and pdf make a still of one `frame`. "
            "Nothing is recorded unless all of it is right."
        ),
        tags=["exports"],
        parameters=[IDEMPOTENCY_KEY],
        request=ExportOrderSerializer,
        examples=[
            OpenApiExample("as the project is", value={}, request_only=True),
            OpenApiExample("props", value={"inputProps": {"title": "Q3"}, "codec": "vp9"}, request_only=True),
            OpenApiExample(
                "a part of it, small and without sound",
                value={"renderOptions": {"frameRange": [30, 119], "scale": 0.5, "muted": True, "crf": 28}},
                request_only=True,
            ),
            OpenApiExample("the last frame alone", value={"codec": "png", "frame": -1}, request_only=True),
        ],
        responses={
            202: OpenApiResponse(
                ExportAcceptedSerializer,
                description="It is recorded. `queueMessageId` is null where the queue couldn't take it yet.",
                examples=[OpenApiExample("accepted", value=examples.ACCEPTED)],
            ),
            **QUOTA_EXCEEDED,
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
        except services.QuotaExceededError as error:
            raise over_quota(error) from error
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
        description=(
            "Send the last answer's `ETag` as `If-None-Match`: while nothing has happened the answer is 304, "
            "but never for so long that the addresses of the file end. `etaSeconds` runs down by itself."
        ),
        parameters=[
            OpenApiParameter(
                "If-None-Match", location="header", description="The `ETag` of the last answer."
            ),
            OpenApiParameter(
                "ETag",
                location="header",
                response=[200, 304],
                description="A mark of what the answer tells.",
            ),
        ],
        responses={
            200: ExportStatusSerializer,
            304: OpenApiResponse(description="Nothing has happened since the answer with this `ETag`."),
        },
    )
    def get(self, request: Request, export_id: UUID) -> HttpResponse:
        """Return the export's status, with addresses of its file once it is completed."""
        now = timezone.now()
        export = get_object_or_404(seen_by(request).defer("input_props", "timeline"), pk=export_id)
        facts = facts_of(export)
        headers = {"ETag": _tag(request, export, facts, now=now), "Cache-Control": "private, no-cache"}
        if is_known(request, headers["ETag"]):
            return HttpResponse(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response({**facts, **at_present(export, now=now)}, headers=headers)


def _tag(request: Request, export: ExportRequest, facts: dict[str, Any], *, now: datetime) -> str:
    """Return the entity tag of a status: of all that it tells, but for what time alone changes.

    The addresses of a file are made anew twice in the time for which they work.
    """
    age = now.timestamp() // (settings.OUTPUT_URL_TTL_S / 2) if has_output(export) else None
    return weak_tag(request, [facts, age])


class ExportView(APIView):
    """Deletes an export."""

    @extend_schema(
        operation_id="deleteExport",
        summary="Delete an export and its file",
        description=(
            "One that has not ended is cancelled first. Its file, props, metadata and timeline are gone for "
            "good; what it has cost goes on counting."
        ),
        tags=["exports"],
        responses={
            204: OpenApiResponse(description="It is gone."),
            **refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "storage-unreachable",
                _FILE_STAYS,
                "S3 can't be asked, or refuses.",
            ),
        },
    )
    def delete(self, request: Request, export_id: UUID) -> Response:
        """Delete an export and its file, and cancel it first where it has not ended."""
        get_object_or_404(seen_by(request).only("pk"), pk=export_id)
        try:
            services.delete_export(
                export_id=export_id, by=request.user, queue=queue.get_queue(), now=timezone.now()
            )
        except services.ExportNotFoundError as error:
            raise Http404 from error
        except (BotoCoreError, ClientError) as error:
            log.warning("storage.unreachable", export_id=str(export_id), error=str(error))
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "storage-unreachable", _FILE_STAYS) from error
        return Response(status=HTTPStatus.NO_CONTENT)


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

    throttle_scope = "exports"

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
            **QUOTA_EXCEEDED,
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
        except services.QuotaExceededError as error:
            raise over_quota(error) from error
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

"""The HTTP API of projects and exports."""

from http import HTTPStatus
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import viewsets
from rest_framework.generics import ListAPIView
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from exports import queue, services
from exports.models import ExportRequest, Project
from exports.representations import status_of
from exports.serializers import (
    CancelledSerializer,
    ExportAcceptedSerializer,
    ExportOrderSerializer,
    ExportStatusSerializer,
    HistoryItemSerializer,
    ProjectSerializer,
    TimelineSerializer,
)
from exports.states import RUNNING
from renderhub.problems import Problem


class NewestFirst(CursorPagination):
    """Pages that stay put while new rows come in; keys are UUIDv7, so their order is that of time."""

    page_size = 20
    max_page_size = 100
    page_size_query_param = "pageSize"
    ordering = "-id"


class ProjectViewSet(viewsets.ModelViewSet[Project]):
    """One's own projects."""

    serializer_class = ProjectSerializer
    pagination_class = NewestFirst
    lookup_url_kwarg = "project_id"
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]
    queryset = Project.objects.none()

    def get_queryset(self) -> QuerySet[Project]:
        """Return the projects that the asker may see."""
        return Project.objects.visible_to(self.request.user)

    def perform_create(self, serializer: BaseSerializer[Project]) -> None:
        """Save the project as the asker's."""
        serializer.save(user=self.request.user)

    def perform_destroy(self, instance: Project) -> None:
        """Delete a project; its exports stay in the history."""
        if instance.exports.filter(status__in=RUNNING).exists():
            raise Problem(
                HTTPStatus.CONFLICT,
                "project-in-use",
                "Exports of this project are running. Wait for them or cancel them, then delete it.",
            )
        instance.delete()


class ExportCreateView(APIView):
    """Asks for an export of a project."""

    @extend_schema(request=ExportOrderSerializer, responses={202: ExportAcceptedSerializer})
    def post(self, request: Request, project_id: UUID) -> Response:
        """Record an export and put it on the queue. Everything in the body is optional."""
        project = get_object_or_404(Project.objects.visible_to(request.user), pk=project_id)
        order = ExportOrderSerializer(data=request.data, context={"project": project})
        order.is_valid(raise_exception=True)
        export = services.create_export(
            project=project, queue=queue.get_queue(), now=timezone.now(), **order.validated_data
        )
        return Response(
            ExportAcceptedSerializer(export).data,
            status=HTTPStatus.ACCEPTED,
            headers={"Location": request.build_absolute_uri(reverse("export-status", args=[export.pk]))},
        )


class ExportStatusView(APIView):
    """Tells where an export stands."""

    @extend_schema(responses=ExportStatusSerializer)
    def get(self, request: Request, export_id: UUID) -> Response:
        """Return the export's status, with an address of its file once it is completed."""
        export = get_object_or_404(_seen_by(request).defer("input_props", "timeline"), pk=export_id)
        return Response(status_of(export, now=timezone.now()))


class ExportEventsView(APIView):
    """Tells what happened to an export."""

    @extend_schema(responses=TimelineSerializer)
    def get(self, request: Request, export_id: UUID) -> Response:
        """Return the export's timeline, oldest first."""
        export = get_object_or_404(_seen_by(request).only("timeline"), pk=export_id)
        return Response({"events": export.timeline})


class ExportRetryView(APIView):
    """Asks for a further attempt."""

    @extend_schema(request=None, responses={202: ExportAcceptedSerializer})
    def post(self, request: Request, export_id: UUID) -> Response:
        """Render a failed or cancelled export again."""
        get_object_or_404(_seen_by(request).only("pk"), pk=export_id)
        try:
            export = services.retry_export(
                export_id=export_id, by=request.user, queue=queue.get_queue(), now=timezone.now()
            )
        except services.WrongStatusError as error:
            raise Problem(
                HTTPStatus.CONFLICT, "wrong-status", str(error), exportStatus=error.status
            ) from error
        return Response(ExportAcceptedSerializer(export).data, status=HTTPStatus.ACCEPTED)


class ExportCancelView(APIView):
    """Cancels an export."""

    @extend_schema(request=None, responses=CancelledSerializer)
    def post(self, request: Request, export_id: UUID) -> Response:
        """Cancel an export that has not ended, and stop its render where that is still possible."""
        get_object_or_404(_seen_by(request).only("pk"), pk=export_id)
        try:
            export, stopping = services.cancel_export(
                export_id=export_id, by=request.user, queue=queue.get_queue(), now=timezone.now()
            )
        except services.WrongStatusError as error:
            raise Problem(
                HTTPStatus.CONFLICT, "wrong-status", str(error), exportStatus=error.status
            ) from error
        return Response(
            {
                "exportId": str(export.pk),
                "status": export.status,
                "attempt": export.attempt,
                "render": stopping.value,
                "detail": stopping.label,
            }
        )


class ExportHistoryView(ListAPIView[ExportRequest]):
    """One's own exports, newest first."""

    serializer_class = HistoryItemSerializer
    pagination_class = NewestFirst
    queryset = ExportRequest.objects.none()

    def get_queryset(self) -> QuerySet[ExportRequest]:
        """Return the exports that the asker may see, without what a list doesn't show."""
        return _seen_by(self.request).defer("input_props", "timeline", "errors")


def _seen_by(request: Request) -> QuerySet[ExportRequest]:
    return ExportRequest.objects.visible_to(request.user)

"""Projects over HTTP."""

from http import HTTPStatus

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import viewsets
from rest_framework.serializers import BaseSerializer

from exports.models import Project
from exports.props import MAX_DEPTH
from exports.serializers import examples
from exports.serializers.projects import ProjectSerializer
from exports.states import RUNNING
from exports.views.pages import NewestFirst
from renderhub.openapi import refusal
from renderhub.problems import Problem

_IN_USE = "Exports of this project are running. Wait for them or cancel them, then delete it."

_TOO_DEEP = refusal(
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "props-too-deep",
    f"Props can be nested {MAX_DEPTH} levels deep at the most.",
    "The props are nested too deeply.",
)

_NEW = OpenApiExample(
    "project",
    request_only=True,
    value={
        name: examples.PROJECT[name]
        for name in ("title", "compositionId", "codec", "inputProps", "propsSchema")
    },
)
_PROJECT = OpenApiExample("project", value=examples.PROJECT, response_only=True)


@extend_schema_view(
    list=extend_schema(
        operation_id="listProjects",
        summary="List one's own projects, newest first",
        examples=[_PROJECT],
        responses={
            200: ProjectSerializer(many=True),
            **refusal(
                HTTPStatus.BAD_REQUEST,
                "invalid-query",
                "The query is not valid; errors says where.",
                "The cursor is none, or the page's size is out of bounds.",
                errors=[{"parameter": "pageSize", "detail": "It is a whole number from 1 to 100."}],
            ),
        },
    ),
    create=extend_schema(
        operation_id="createProject",
        summary="Make a project",
        examples=[_NEW, _PROJECT],
        responses={201: ProjectSerializer, **_TOO_DEEP},
    ),
    retrieve=extend_schema(operation_id="getProject", summary="Read a project", examples=[_PROJECT]),
    partial_update=extend_schema(
        operation_id="changeProject",
        summary="Change a project",
        description="Exports that were asked for before stay as they are: they have copies.",
        examples=[OpenApiExample("title", value={"title": "Q3 figures"}, request_only=True), _PROJECT],
        responses={200: ProjectSerializer, **_TOO_DEEP},
    ),
    destroy=extend_schema(
        operation_id="deleteProject",
        summary="Delete a project",
        description="Its exports stay in the history.",
        responses={
            204: OpenApiResponse(description="It is gone."),
            **refusal(HTTPStatus.CONFLICT, "project-in-use", _IN_USE, "Exports of the project are running."),
        },
    ),
)
@extend_schema(tags=["projects"])
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
                _IN_USE,
            )
        instance.delete()

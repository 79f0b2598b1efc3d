"""What several views need: what the asker may see, and conflicts."""

from http import HTTPStatus

from django.db.models import QuerySet
from rest_framework.request import Request

from exports import services
from exports.models import ExportRequest
from renderhub.problems import Problem


def seen_by(request: Request) -> QuerySet[ExportRequest]:
    """Return the exports that the asker may see."""
    return ExportRequest.objects.visible_to(request.user)


def conflict(error: services.WrongStatusError) -> Problem:
    """Return the answer to what the export's present status doesn't allow."""
    return Problem(HTTPStatus.CONFLICT, "wrong-status", str(error), exportStatus=error.status)

"""What several views need: pages, what the asker may see, conflicts and quotas."""

from http import HTTPStatus
from typing import Final

from django.db.models import QuerySet
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from exports import services
from exports.models import ExportRequest
from renderhub.openapi import refusal
from renderhub.problems import Problem


class NewestFirst(CursorPagination):
    """Pages that stay put while new rows come in; keys are UUIDv7, so their order is that of time."""

    page_size = 20
    max_page_size = 100
    page_size_query_param = "pageSize"
    ordering = "-id"


def seen_by(request: Request) -> QuerySet[ExportRequest]:
    """Return the exports that the asker may see."""
    return ExportRequest.objects.visible_to(request.user)


def conflict(error: services.WrongStatusError) -> Problem:
    """Return the answer to what the export's present status doesn't allow."""
    return Problem(HTTPStatus.CONFLICT, "wrong-status", str(error), exportStatus=error.status)


QUOTA_EXCEEDED: Final = refusal(
    HTTPStatus.TOO_MANY_REQUESTS,
    "quota-exceeded",
    str(services.QuotaExceededError(pending=2000, limit=2000, wanted=1)),
    "Too many of one's exports are pending (quota-exceeded), or it was asked too often (rate-limited).",
    pending=2000,
    limit=2000,
)
"""What a call that adds pending exports describes."""


def over_quota(error: services.QuotaExceededError) -> Problem:
    """Return the answer to whoever has as many pending exports as they may have."""
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS, "quota-exceeded", str(error), pending=error.pending, limit=error.limit
    )

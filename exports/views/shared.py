"""What several views need: pages, what the asker may see, and conflicts."""

from http import HTTPStatus
from typing import Any, Final

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from exports import services
from exports.idempotency import REUSED, IdempotencyKey, InvalidKeyError, KeyReusedError, read_key
from exports.models import ExportRequest
from renderhub.openapi import Refusals, refusal
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


REPLAYED: Final = {"Idempotency-Replayed": "true"}
"""The header of an answer that names what an earlier request with the same key has made."""

IDEMPOTENCY_KEY: Final = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="Lets a request that wasn't answered be sent again: within 24 hours the same key (1 to 255 "
    "visible characters, bare or in quotation marks; a UUID does) and the same body give the same answer, "
    "with the header `Idempotency-Replayed: true` and what has changed meanwhile, and make nothing twice. "
    "A key is of one user, and of one kind of request.",
)


def asked_key(request: Request, asked: Any) -> IdempotencyKey | None:
    """Return the key of a request; ``None`` where it has none.

    Args:
        request: the request.
        asked: what it asks, JSON-ready.

    Raises:
        Problem: the header holds no key.
    """
    try:
        return read_key(request.headers.get("Idempotency-Key"), user=request.user, request=asked)
    except InvalidKeyError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "idempotency-key-invalid", str(error)) from error


def reused(error: KeyReusedError) -> Problem:
    """Return the answer to a key that another request has used."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "idempotency-key-reused", str(error))


UNPROCESSABLE: Final[Refusals] = refusal(
    HTTPStatus.UNPROCESSABLE_ENTITY,
    "idempotency-key-reused",
    REUSED,
    "Another request has used the `Idempotency-Key` (idempotency-key-reused), or the props are nested too "
    "deeply (props-too-deep).",
)

"""What several views need: what the asker may see and already has, conflicts and quotas."""

import base64
import hashlib
import json
from http import HTTPStatus
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.http import parse_etags
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from exports import services
from exports.idempotency import REUSED, IdempotencyKey, InvalidKeyError, KeyReusedError, read_key
from exports.models import ExportRequest
from renderhub.openapi import Refusals, refusal
from renderhub.problems import Problem


def seen_by(request: Request) -> QuerySet[ExportRequest]:
    """Return the exports that the asker may see."""
    return ExportRequest.objects.visible_to(request.user)


def weak_tag(request: Request, told: Any) -> str:
    """Return the weak entity tag (RFC 9110, section 8.8.3) of an answer.

    Args:
        request: it says in which form the answer is given.
        told: what it tells, ready for JSON.
    """
    # A browser keeps the page and the JSON of one address side by side, and sends the tags of both.
    form = getattr(request.accepted_renderer, "media_type", "")
    digest = hashlib.sha256(json.dumps([form, told]).encode()).digest()
    return f'W/"{base64.urlsafe_b64encode(digest[:15]).decode()}"'


def is_known(request: Request, tag: str) -> bool:
    """Tell whether the asker already has the answer with this weak tag."""
    known = parse_etags(request.headers.get("If-None-Match", ""))
    return known == ["*"] or tag in known


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

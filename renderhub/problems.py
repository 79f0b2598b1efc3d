"""Errors of the HTTP API as RFC 9457 problem details."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions

CONTENT_TYPE: Final = "application/problem+json"

# The names of RFC 9110, where older versions of Python have those of its forerunners.
_TITLES: Final = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}


class Problem(exceptions.APIException):
    """An answer that says what is wrong and what to do about it.

    Args:
        status: the HTTP status.
        code: the constant word by which a program tells this problem from others.
        detail: one or two sentences for the developer who meets it.
        extra: further members of the answer, camelCase.
    """

    def __init__(self, status: HTTPStatus, code: str, detail: str, **extra: Any) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.extra = extra


def problem(status: HTTPStatus, code: str, detail: str, **extra: Any) -> dict[str, Any]:
    """Return the members of a problem; its ``type`` is made of ``code``."""
    return {
        "type": f"urn:renderhub:problem:{code.replace('_', '-')}",
        "title": _TITLES.get(status, status.phrase),
        "status": status.value,
        "detail": detail,
        **extra,
    }


def invalid(errors: Iterable[tuple[str, str]]) -> Problem:
    """Return the problem of a body that can be read but not used.

    Args:
        errors: each with the JSON pointer (RFC 6901) of its field, and a sentence.
    """
    listed = [{"pointer": pointer, "detail": detail} for pointer, detail in errors]
    detail = "The request is not valid; errors says where."
    return Problem(HTTPStatus.BAD_REQUEST, "invalid", detail, errors=listed)


def too_large(max_bytes: int) -> tuple[str, str]:
    """Return the constant word and the sentences for a body of more than ``max_bytes``."""
    return "body-too-large", f"A body holds {max_bytes:,} bytes at the most. Put large data at a URL."


def pointer_part(name: str) -> str:
    """Return a key as it stands in a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def problem_response(status: HTTPStatus, code: str, detail: str, **extra: Any) -> JsonResponse:
    """Return problem details from outside Django REST framework."""
    return JsonResponse(problem(status, code, detail, **extra), status=status, content_type=CONTENT_TYPE)


@csrf_exempt
def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Answer for an address under ``/api/`` that leads nowhere."""
    return problem_response(
        HTTPStatus.NOT_FOUND,
        "not-found",
        f"There is nothing at {request.path}; /api/docs lists what there is.",
    )

"""Errors of the HTTP API as RFC 9457 problem details."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from django.http import HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler

CONTENT_TYPE: Final = "application/problem+json"


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


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn what Django REST framework handles into problem details. Anything else stays an error 500."""
    response = drf_exception_handler(error, context)
    if response is None:
        return None
    status = HTTPStatus(response.status_code)
    if isinstance(error, exceptions.ValidationError):
        errors = [{"pointer": pointer, "detail": detail} for pointer, detail in _flat(error.detail)]
        body = _problem(status, "invalid", "The request is not valid; errors says where.", errors=errors)
    elif isinstance(error, Problem):
        body = _problem(status, error.get_codes(), str(error.detail), **error.extra)
    elif isinstance(error, exceptions.APIException):
        body = _problem(status, _code_of(error), _detail_of(error))
    else:
        # Django's own Http404 and PermissionDenied.
        body = _problem(status, status.name.lower().replace("_", "-"), _PLAIN.get(status, status.phrase))
    return Response(body, status=status, headers=_headers(response), content_type=CONTENT_TYPE)


def problem_response(status: HTTPStatus, code: str, detail: str) -> JsonResponse:
    """Return problem details from outside Django REST framework."""
    return JsonResponse(_problem(status, code, detail), status=status, content_type=CONTENT_TYPE)


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    """Answer for an address under ``/api/`` that leads nowhere."""
    return problem_response(
        HTTPStatus.NOT_FOUND,
        "not-found",
        f"There is nothing at {request.path}; /api/docs lists what there is.",
    )


_PLAIN: Final = {
    HTTPStatus.NOT_FOUND: "There is no such thing, or it is not yours.",
    HTTPStatus.FORBIDDEN: "You may not do this.",
}


def _problem(status: HTTPStatus, code: Any, detail: str, **extra: Any) -> dict[str, Any]:
    return {
        "type": f"urn:renderhub:problem:{str(code).replace('_', '-')}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        **extra,
    }


def _code_of(error: exceptions.APIException) -> str:
    # simplejwt's errors carry a mapping with a code of its own.
    if isinstance(error.detail, Mapping) and "code" in error.detail:
        return str(error.detail["code"])
    return str(error.default_code)


def _detail_of(error: exceptions.APIException) -> str:
    if isinstance(error.detail, Mapping) and "detail" in error.detail:
        return str(error.detail["detail"])
    return str(error.detail)


def _headers(response: Response) -> dict[str, str]:
    return {name: value for name, value in response.items() if name in {"WWW-Authenticate", "Retry-After"}}


def _flat(detail: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Yield each error with the JSON pointer (RFC 6901) of the field that it belongs to."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _flat(inner, pointer if name == "non_field_errors" else f"{pointer}/{name}")
    elif isinstance(detail, list):
        for position, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list)
            yield from _flat(inner, f"{pointer}/{position}" if nested else pointer)
    else:
        yield pointer, str(detail)

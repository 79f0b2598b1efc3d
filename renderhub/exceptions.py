"""What the API answers to the exceptions of its views."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler
from rest_framework_simplejwt.exceptions import InvalidToken

from renderhub.problems import CONTENT_TYPE, Problem, invalid, problem

INVALID_TOKEN: Final = (
    "The token is invalid or has expired. Get a new one at /api/auth/token or /api/auth/token/refresh."  # noqa: S105
)

_PLAIN: Final = {
    HTTPStatus.NOT_FOUND: "There is no such thing, or it is not yours.",
    HTTPStatus.FORBIDDEN: "You may not do this.",
}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn what Django REST framework handles into problem details. Anything else stays an error 500."""
    response = drf_exception_handler(error, context)
    if response is None:
        return None
    status = HTTPStatus(response.status_code)
    if isinstance(error, exceptions.ValidationError):
        error = invalid(flat_errors(error.detail))
    if isinstance(error, Problem):
        body = problem(status, str(error.get_codes()), str(error.detail), **error.extra)
    elif isinstance(error, exceptions.APIException):
        body = problem(status, _code_of(error), _detail_of(error))
    else:
        # Django's own Http404 and PermissionDenied.
        body = problem(status, status.name.lower().replace("_", "-"), _PLAIN.get(status, status.phrase))
    # A browser at the browsable API gets a page, whose media type is the renderer's.
    renderer = getattr(context["request"], "accepted_renderer", None)
    is_page = getattr(renderer, "media_type", None) == "text/html"
    return Response(
        body, status=status, headers=_headers(response), content_type=None if is_page else CONTENT_TYPE
    )


def _code_of(error: exceptions.APIException) -> str:
    # simplejwt's errors carry a mapping with a code of its own.
    if isinstance(error.detail, Mapping) and "code" in error.detail:
        return str(error.detail["code"])
    return str(error.default_code)


def _detail_of(error: exceptions.APIException) -> str:
    if isinstance(error, InvalidToken):
        return INVALID_TOKEN
    if isinstance(error.detail, Mapping) and "detail" in error.detail:
        return str(error.detail["detail"])
    return str(error.detail)


def _headers(response: Response) -> dict[str, str]:
    return {name: value for name, value in response.items() if name in {"WWW-Authenticate", "Retry-After"}}


def flat_errors(detail: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Yield each error with the JSON pointer (RFC 6901) of the field that it belongs to."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from flat_errors(inner, pointer if name == "non_field_errors" else f"{pointer}/{name}")
    elif isinstance(detail, list):
        for position, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list)
            yield from flat_errors(inner, f"{pointer}/{position}" if nested else pointer)
    else:
        yield pointer, str(detail)

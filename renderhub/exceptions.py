"""What the API answers to the exceptions of its views, and to those that nobody expects."""

import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from django.core.signals import got_request_exception
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler
from rest_framework_simplejwt.exceptions import InvalidToken

from renderhub import pages
from renderhub.problems import CONTENT_TYPE, Problem, invalid, problem, problem_response

log = structlog.get_logger(__name__)

INVALID_TOKEN: Final = (
    "The token is invalid or has expired. Get a new one at /api/auth/token or /api/auth/token/refresh."  # noqa: S105
)

DATABASE_UNAVAILABLE: Final = (
    "The database can't be reached or takes too long. Try again after the seconds of Retry-After. Something "
    "that was to be written may have been written all the same."
)

_AGAIN_S: Final = 5
"""A database that is started again, or replaced by another, takes about that long."""

# How every engine tells that it can't be reached, is too busy, or has lost its connection.
_DATABASE_AWAY: Final = (OperationalError, InterfaceError)

_PLAIN: Final = {
    HTTPStatus.NOT_FOUND: "There is no such thing, or it is not yours.",
    HTTPStatus.FORBIDDEN: "You may not do this.",
}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn what Django REST framework handles into problem details; :func:`crashed` has the rest."""
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


class ProblemsMiddleware:
    """Answers for views of the API that fail unexpectedly, also where ``DEBUG`` would show a page.

    It answers for every view whose database is away.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Pass the request on."""
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Answer with problem details, or with a page that says that the database is away."""
        if not (_is_api(request) or isinstance(exception, _DATABASE_AWAY)):
            return None
        # As Django does where it answers itself: whoever collects errors listens for it.
        got_request_exception.send(sender=type(self), request=request)
        return crashed(request, exception)


def crashed(request: HttpRequest, error: BaseException | None) -> HttpResponseBase:
    """Log an exception, and answer with an id that finds it there; or that the database is away."""
    route = request.resolver_match.route if request.resolver_match else ""
    if isinstance(error, _DATABASE_AWAY):
        # The error itself may name hosts and users, which is for the log alone.
        log.error("database.unavailable", method=request.method, route=route, error=str(error))
        return _unavailable(request)
    error_id = uuid.uuid4().hex
    log.error("api.crashed", error_id=error_id, method=request.method, route=route, exc_info=error)
    return problem_response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal-error",
        f"This is a fault of the server. Try again; if it stays, tell support the id {error_id}.",
        errorId=error_id,
    )


def _unavailable(request: HttpRequest) -> HttpResponseBase:
    response = (
        problem_response(HTTPStatus.SERVICE_UNAVAILABLE, "database-unavailable", DATABASE_UNAVAILABLE)
        if _is_api(request)
        else pages.unavailable(request)
    )
    response["Retry-After"] = str(_AGAIN_S)
    return response


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer for what fails outside of the views (``handler500``)."""
    error = sys.exc_info()[1]
    if _is_api(request) or isinstance(error, _DATABASE_AWAY):
        return crashed(request, error)
    return defaults.server_error(request)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer for what Django itself can't accept, such as a foreign Host (``handler400``)."""
    if not _is_api(request):
        return defaults.bad_request(request, exception)
    detail = "The request can't be accepted as it is; the address that it names may not be this server's."
    return problem_response(HTTPStatus.BAD_REQUEST, "bad-request", detail)


def _is_api(request: HttpRequest) -> bool:
    return request.path_info.startswith("/api/")


def _code_of(error: exceptions.APIException) -> str:
    # simplejwt's errors carry a mapping with a code of its own.
    if isinstance(error.detail, Mapping) and "code" in error.detail:
        return str(error.detail["code"])
    return str(error.default_code)


def _detail_of(error: exceptions.APIException) -> str:
    if isinstance(error, InvalidToken):
        return INVALID_TOKEN
    if isinstance(error, exceptions.PermissionDenied) and str(error.detail).startswith("CSRF"):
        return f"{error.detail} Send the value of the cookie csrftoken in the header X-CSRFToken."
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

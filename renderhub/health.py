"""What load balancers and orchestrators ask of this process. No sign-in, no secrets, no limits."""

import functools
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import structlog
from django.db import Error, OperationalError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from renderhub.problems import problem_response

log = structlog.get_logger(__name__)


class HealthMiddleware:
    """Answers ``/healthz`` and ``/readyz``.

    It stands before everything else, since a load balancer asks by the process's own address, which is not
    among ``ALLOWED_HOSTS``, and without TLS.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, or pass the request on."""
        probe = _PROBES.get(request.path_info)
        if probe is None or request.method not in {"GET", "HEAD"}:
            return self._get_response(request)
        response = probe()
        response["Cache-Control"] = "no-store"
        return response


def _is_alive() -> HttpResponse:
    """Tell that this process answers, whatever else is down: to start it anew would mend nothing."""
    return JsonResponse({"status": "ok"})


def _is_ready() -> HttpResponse:
    """Tell whether this process can work: the database is there, with the tables of this version."""
    try:
        connection.ensure_connection()
        # One that can tell sooner than a query would says so.
        if not connection.is_usable():
            raise OperationalError("the database doesn't answer")
        applied = MigrationRecorder(connection).applied_migrations()
    except Error as error:
        return _unready("database", "The database can't be reached; DATABASE_URL says where it is.", error)
    missing = _migrations() - applied.keys()
    if missing:
        names = ", ".join(sorted(".".join(each) for each in missing))
        return _unready(
            "migrations", "The database is of an earlier version: run manage.py migrate.", f"missing: {names}"
        )
    return JsonResponse({"status": "ok", "database": "ok", "migrations": "ok"})


@functools.cache
def _migrations() -> frozenset[tuple[str, str]]:
    """Return the migrations of this version, by app and name."""
    return frozenset(MigrationLoader(None).disk_migrations)


def _unready(part: str, detail: str, error: Exception | str) -> HttpResponse:
    # The error itself may name hosts and users, which is for the log alone.
    log.warning("health.unready", part=part, error=str(error) or repr(getattr(error, "__cause__", None)))
    return problem_response(HTTPStatus.SERVICE_UNAVAILABLE, f"{part}-unready", detail, part=part)


_PROBES: Final[dict[str, Callable[[], HttpResponse]]] = {"/healthz": _is_alive, "/readyz": _is_ready}

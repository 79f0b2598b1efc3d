"""How often something may be asked, counted by django-ratelimit, and what answers say of it.

A limit is a name in ``settings.LIMITS``. Every view of the API has one by :class:`Limits`; whatever else
needs one calls :func:`spend`. :class:`LimitsMiddleware` writes what was counted into the answer.

The headers are those of draft-ietf-httpapi-ratelimit-headers-11: ``RateLimit-Policy`` tells the limits that a
call counts for, ``RateLimit`` what is left of each. ``Retry-After`` comes with the refusal.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import structlog
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django_ratelimit.core import get_usage
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from renderhub import pages
from renderhub.addresses import client_of
from renderhub.problems import Problem

log = structlog.get_logger(__name__)

_UNREACHABLE_S: Final = 5.0
"""How long nothing is counted after the counters couldn't be reached: not every call shall wait for them."""

# Until when that is, by time.monotonic().
_counting_again_at = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What has been used of a limit.

    Attributes:
        name: the limit's name.
        calls: how many calls are let through in each time span.
        period_s: how long that is.
        used: how many there were, this one included, and those that were refused.
        reset_s: how long it is until the next time span begins.
    """

    name: str
    calls: int
    period_s: int
    used: int
    reset_s: int


class LimitedError(Problem):
    """Too much was asked; trying again helps after the seconds that the answer names."""

    def __init__(self, usage: Usage) -> None:
        super().__init__(
            HTTPStatus.TOO_MANY_REQUESTS,
            "rate-limited",
            f"That was asked more often than {usage.calls:,} times in {_span(usage.period_s)}. "
            f"Try again in {_span(usage.reset_s)}.",
            violatedPolicies=[usage.name],
        )
        self.usage = usage


def spend(request: HttpRequest | Request, name: str, *, by: str) -> None:
    """Count one call, once for each request however often this is called.

    Args:
        request: it, whose answer tells what is left.
        name: the limit.
        by: whose call it is, as :func:`user_or_address` gives it.

    Raises:
        LimitedError: it is one too many.
    """
    seen = _usages(request)
    if name in seen:
        return
    usage = _count(request, name, by=by, more=True)
    if usage is None:
        return
    seen[name] = usage
    if usage.used > usage.calls:
        raise LimitedError(usage)


def refuse_if_spent(request: HttpRequest | Request, name: str, *, by: str) -> None:
    """Count nothing, and let through as long as something is left; what is left, the answer doesn't tell.

    Raises:
        LimitedError: nothing is.
    """
    usage = _count(request, name, by=by, more=False)
    if usage is not None and usage.used >= usage.calls:
        _usages(request)[name] = usage
        raise LimitedError(usage)


def note(request: HttpRequest | Request, name: str, *, by: str) -> None:
    """Count one more, for :func:`refuse_if_spent`."""
    _count(request, name, by=by, more=True)


def user_or_address(request: HttpRequest | Request) -> str:
    """Return whose a call is: the user's, or where nobody is signed in the address's."""
    return f"user:{request.user.pk}" if request.user.is_authenticated else address(request)


def address(request: HttpRequest | Request) -> str:
    """Return whose a call is by its address alone."""
    return f"address:{client_of(_plain(request))}"


class Limits(BaseThrottle):
    """Counts the calls of every view: reads, writes, or what the view names as ``throttle_scope``.

    A view's reads are reads whatever it names.
    """

    def allow_request(self, request: Request, view: object) -> bool:
        """Count a call.

        Raises:
            LimitedError: it is one too many.
        """
        spend(request, limit_of(view, request.method or ""), by=user_or_address(request))
        return True


def limit_of(view: object, method: str) -> str:
    """Return the name of the limit that a call of a view counts for."""
    return "reads" if method in SAFE_METHODS else getattr(view, "throttle_scope", "writes")


class LimitsMiddleware:
    """Tells in the answer what is left, and answers for the pages on which too much was asked."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Add the headers."""
        response = self._get_response(request)
        usages = _usages(request).values()
        if usages:
            response["RateLimit-Policy"] = ", ".join(f'"{u.name}";q={u.calls};w={u.period_s}' for u in usages)
            response["RateLimit"] = ", ".join(
                f'"{u.name}";r={max(u.calls - u.used, 0)};t={u.reset_s}' for u in usages
            )
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            spent = [u.reset_s for u in usages if u.used >= u.calls]
            if spent:
                response["Retry-After"] = str(max(spent))
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Answer by a page where a page was asked for; the API's own views answer by themselves."""
        if not isinstance(exception, LimitedError):
            return None
        return pages.limited(request, _span(exception.usage.reset_s))


def _count(request: HttpRequest | Request, name: str, *, by: str, more: bool) -> Usage | None:
    """Return what has been used, with one more counted or not; ``None`` where it can't be told.

    Who can't be counted is let through: without its counters the API works on.
    """
    global _counting_again_at
    if time.monotonic() < _counting_again_at:
        return None
    calls, period_s = settings.LIMITS[name]
    try:
        found: dict[str, Any] | None = get_usage(
            _plain(request), group=name, key=lambda *_: by, rate=(calls, period_s), increment=more
        )
    except Exception:
        _counting_again_at = time.monotonic() + _UNREACHABLE_S
        log.exception("limits.unreachable", open_for_s=_UNREACHABLE_S)
        return None
    if found is None:
        return None
    # django-ratelimit gives the last second of the time span; the next begins one later.
    reset_s = found["time_left"] + 1
    return Usage(name=name, calls=calls, period_s=period_s, used=found["count"], reset_s=reset_s)


def _usages(request: HttpRequest | Request) -> dict[str, Usage]:
    """Return what was counted for a request, by the limit's name."""
    usages: dict[str, Usage] = vars(_plain(request)).setdefault("limits", {})
    return usages


def _plain(request: HttpRequest | Request) -> HttpRequest:
    return request._request if isinstance(request, Request) else request


def _span(seconds: int) -> str:
    """Return a time span in words, rounded up."""
    for unit, length_s in (("hours", 3600), ("minutes", 60)):
        if seconds > 2 * length_s:
            return f"{math.ceil(seconds / length_s)} {unit}"
    return "1 second" if seconds == 1 else f"{seconds} seconds"

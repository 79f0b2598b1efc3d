"""Who opens a socket, and whether the page that it comes from may."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from channels.auth import get_user
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.http.request import split_domain_port, validate_host
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.settings import api_settings

PROTOCOL: Final = "renderhub.v1"
"""The subprotocol that is spoken; it stands before the token, which alone could not be accepted."""

_BEARER: Final = "bearer."


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """Who has come in.

    Attributes:
        user: the user.
        until: when they must show again who they are.
    """

    user: AbstractBaseUser
    until: datetime


async def authenticate(scope: Mapping[str, Any], *, now: datetime) -> Guest | None:
    """Return who opens the socket, or ``None`` for a stranger.

    A JWT travels as a subprotocol, since browsers can set no header here; a page of ours brings its session.

    Args:
        scope: the connection's ASGI scope, with its session.
        now: the present moment.
    """
    token = next((name[len(_BEARER) :] for name in scope["subprotocols"] if name.startswith(_BEARER)), None)
    if token is not None:
        # A program names no origin; a page that has a token must still be one that we know.
        if _header(scope, b"origin") is not None and not _is_ours(scope):
            return None
        guest: Guest | None = await database_sync_to_async(_by_token)(token)
        return guest
    # A browser sends the cookie along from any page.
    if not _is_ours(scope):
        return None
    user = await get_user(scope)
    if not user.is_authenticated:
        return None
    return Guest(user=user, until=now + api_settings.ACCESS_TOKEN_LIFETIME)


def _by_token(raw: str) -> Guest | None:
    scheme = JWTAuthentication()
    try:
        token = scheme.get_validated_token(raw.encode())
        return Guest(user=scheme.get_user(token), until=datetime.fromtimestamp(token["exp"], UTC))
    except (InvalidToken, AuthenticationFailed):
        return None


def _is_ours(scope: Mapping[str, Any]) -> bool:
    """Tell whether the page is of this very address, or of an origin that the settings trust."""
    origin, host = _header(scope, b"origin"), _header(scope, b"host") or ""
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    # The name is checked too: a foreign one may have been made to lead here (DNS rebinding).
    return origin in (f"http://{host}", f"https://{host}") and validate_host(
        split_domain_port(host)[0], settings.ALLOWED_HOSTS
    )


def _header(scope: Mapping[str, Any], name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)

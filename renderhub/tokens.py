"""Signing in for programs: JSON Web Tokens."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt import serializers, tokens
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError
from rest_framework_simplejwt.views import TokenBlacklistView, TokenObtainPairView, TokenRefreshView

from renderhub.exceptions import INVALID_TOKEN
from renderhub.models import RevokedToken
from renderhub.openapi import refusal


class RefreshToken(tokens.RefreshToken):
    """A refresh token that can be used once.

    simplejwt's own list of revoked tokens takes a row at each log-in and a join at each look-up, and its
    keys are numbers, which MongoDB has not.
    """

    def verify(self, *args: Any, **kwargs: Any) -> None:
        """Check the signed token, then that it was not used or signed out.

        Raises:
            TokenError: it is of no use.
        """
        super().verify(*args, **kwargs)
        if RevokedToken.objects.filter(pk=self.payload["jti"]).exists():
            raise TokenError("The token was used before, or signed out.")

    def blacklist(self) -> None:  # type: ignore[override]  # simplejwt itself drops what it returns
        """Make it useless. Of several who use a token at the same moment, one gets past this.

        Raises:
            TokenError: somebody else was quicker.
        """
        expires_at = datetime.fromtimestamp(self.payload["exp"], tz=UTC)
        try:
            RevokedToken(jti=self.payload["jti"], expires_at=expires_at).save(force_insert=True)
        except IntegrityError as error:
            raise TokenError("The token was used before, or signed out.") from error

    def outstand(self) -> None:
        """Keep nothing of a token that is good."""


# The schema is written from simplejwt's own, which drf-spectacular knows.


class SignInSerializer(serializers.TokenObtainPairSerializer):
    """A name and a password, for tokens."""

    token_class = RefreshToken


class RefreshSerializer(serializers.TokenRefreshSerializer):
    """A refresh token, for new tokens."""

    token_class = RefreshToken


class SignOutSerializer(serializers.TokenBlacklistSerializer):
    """A refresh token, to make it useless."""

    token_class = RefreshToken


def forget_expired_tokens(*, now: datetime) -> int:
    """Delete what is kept of refresh tokens that have expired meanwhile, and return how many they were."""
    return RevokedToken.objects.filter(expires_at__lt=now).delete()[0]


_PAIR = OpenApiExample(
    "tokens", value={"refresh": "eyJhbGciOi…", "access": "eyJhbGciOi…"}, response_only=True
)


class SignInView(TokenObtainPairView):
    """Gives tokens for a name and a password."""

    serializer_class = SignInSerializer
    throttle_scope = "sign-in"

    @extend_schema(
        operation_id="signIn",
        summary="Sign in",
        description="Returns an access token for the header `Authorization: Bearer …` and a refresh token.",
        tags=["auth"],
        examples=[
            OpenApiExample("demo", value={"username": "demo", "password": "demo"}, request_only=True),
            _PAIR,
        ],
        request=serializers.TokenObtainPairSerializer,
        responses={
            200: serializers.TokenObtainPairSerializer,
            **refusal(
                HTTPStatus.UNAUTHORIZED,
                "authentication-failed",
                "No active account found with the given credentials",
                "The name or the password is wrong, or the account is not active.",
            ),
        },
    )
    def post(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Sign in."""
        return super().post(request, *args, **kwargs)


_TOKEN_REFUSED = refusal(
    HTTPStatus.UNAUTHORIZED,
    "token-not-valid",
    INVALID_TOKEN,
    "The refresh token is no token, has expired, or was used before.",
)


class RefreshView(TokenRefreshView):
    """Gives new tokens for a refresh token."""

    serializer_class = RefreshSerializer
    throttle_scope = "tokens"

    @extend_schema(
        operation_id="refreshToken",
        summary="Get a new access token",
        description="Returns a new pair; the refresh token that was sent is of no use afterwards.",
        tags=["auth"],
        examples=[OpenApiExample("token", value={"refresh": "eyJhbGciOi…"}, request_only=True), _PAIR],
        request=serializers.TokenRefreshSerializer,
        responses={200: serializers.TokenRefreshSerializer, **_TOKEN_REFUSED},
    )
    def post(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Exchange a refresh token for a new pair."""
        try:
            return super().post(request, *args, **kwargs)
        except get_user_model().DoesNotExist as error:
            # The token outlived its user.
            raise InvalidToken from error


class SignOutView(TokenBlacklistView):
    """Makes a refresh token useless."""

    serializer_class = SignOutSerializer
    throttle_scope = "tokens"

    @extend_schema(
        operation_id="signOut",
        summary="Sign out",
        description="Makes a refresh token useless. Access tokens end by themselves, within 15 minutes.",
        tags=["auth"],
        examples=[OpenApiExample("token", value={"refresh": "eyJhbGciOi…"}, request_only=True)],
        request=serializers.TokenBlacklistSerializer,
        responses={
            200: OpenApiResponse(
                {"type": "object", "additionalProperties": False},
                description="It is of no use any more.",
                examples=[OpenApiExample("done", value={})],
            ),
            **_TOKEN_REFUSED,
        },
    )
    def post(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Sign out."""
        return super().post(request, *args, **kwargs)

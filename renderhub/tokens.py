"""Signing in for programs: JSON Web Tokens."""

from http import HTTPStatus

from django.contrib.auth import get_user_model
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.views import TokenBlacklistView, TokenObtainPairView, TokenRefreshView

from renderhub.exceptions import INVALID_TOKEN
from renderhub.openapi import refusal

_PAIR = OpenApiExample(
    "tokens", value={"refresh": "eyJhbGciOi…", "access": "eyJhbGciOi…"}, response_only=True
)


class SignInView(TokenObtainPairView):
    """Gives tokens for a name and a password."""

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
        responses={
            200: TokenObtainPairView().get_serializer_class(),
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

    throttle_scope = "tokens"

    @extend_schema(
        operation_id="refreshToken",
        summary="Get a new access token",
        description="Returns a new pair; the refresh token that was sent is of no use afterwards.",
        tags=["auth"],
        examples=[OpenApiExample("token", value={"refresh": "eyJhbGciOi…"}, request_only=True), _PAIR],
        responses={200: TokenRefreshView().get_serializer_class(), **_TOKEN_REFUSED},
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

    throttle_scope = "tokens"

    @extend_schema(
        operation_id="signOut",
        summary="Sign out",
        description="Makes a refresh token useless. Access tokens end by themselves, within 15 minutes.",
        tags=["auth"],
        examples=[OpenApiExample("token", value={"refresh": "eyJhbGciOi…"}, request_only=True)],
        responses={
            200: OpenApiResponse(
                {"type": "object", "additionalProperties": False}, description="It is of no use any more."
            ),
            **_TOKEN_REFUSED,
        },
    )
    def post(self, request: Request, *args: object, **kwargs: object) -> Response:
        """Sign out."""
        return super().post(request, *args, **kwargs)

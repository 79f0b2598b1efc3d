"""What the API's description says of every call alike: how it refuses, and in which form."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, OpenApiResponse

from renderhub.problems import CONTENT_TYPE, problem

Refusals = dict[tuple[int, str], OpenApiResponse]

_DESCRIPTION: Final = """Exports of Remotion videos: request, follow, download.

Programs sign in with a token (`POST /api/auth/token`, then `Authorization: Bearer …`), browsers with their
session. What belongs to someone else is answered as if it didn't exist. Times are ISO 8601 in UTC.

Errors are problem details (RFC 9457, `application/problem+json`). Their `type` is `urn:renderhub:problem:`
and one of `invalid` (with `errors`), `parse-error`, `not-authenticated`, `authentication-failed`,
`bad-authorization-header`, `token-not-valid`, `user-not-found`, `user-inactive`, `permission-denied`,
`not-found`, `method-not-allowed`, `not-acceptable`, `project-in-use`, `wrong-status`, `body-too-large`,
`length-required`, `unsupported-media-type`, `props-too-large`, `props-too-deep`, `idempotency-key-invalid`,
`idempotency-key-reused`, `idempotency-key-in-use`, `batch-invalid` (with `errors`); of the webhooks
`signature`, `malformed-webhook`, `unknown-export`.
"""

_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}

_SCHEMAS: Final = {
    "Problem": {
        "type": "object",
        "description": "Why a call was refused, and what to do about it (RFC 9457).",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {
                "type": "string",
                "format": "uri",
                "description": "A constant by which a program tells this problem from others.",
                "example": "urn:renderhub:problem:not-found",
            },
            "title": {"type": "string", "description": "The HTTP status in words."},
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": {"type": "string", "description": "One or two sentences for whoever meets it."},
            "errors": {
                "type": "array",
                "description": "Of the types invalid and batch-invalid: all that is wrong.",
                "items": {"$ref": "#/components/schemas/FieldError"},
            },
            "total": {"type": "integer", "description": "Of batch-invalid: how many rows were sent."},
            "accepted": {"type": "integer", "description": "Of batch-invalid: how many are right."},
            "refused": {"type": "integer", "description": "Of batch-invalid: how many are wrong."},
            "exportStatus": {"type": "string", "description": "Of the type wrong-status: the present one."},
        },
    },
    "FieldError": {
        "type": "object",
        "required": ["pointer", "detail"],
        "properties": {
            "pointer": {
                "type": "string",
                "description": "JSON pointer (RFC 6901) to the field in the body; empty: the body itself.",
                "example": "/inputProps/title",
            },
            "detail": {"type": "string", "description": "What is wrong with it."},
            "row": {"type": "integer", "description": "Of a batch: its row; the pointer is within that."},
        },
    },
}


def refusal(status: HTTPStatus, code: str, detail: str, description: str, **extra: Any) -> Refusals:
    """Describe an answer that one call alone gives, for ``extend_schema(responses=…)``.

    Args:
        status: the HTTP status.
        code: the problem's constant word.
        detail: the problem's sentences, as an example.
        description: when the call answers so.
        extra: further members of the example.
    """
    example = OpenApiExample(code, value=problem(status, code, detail, **extra), media_type=CONTENT_TYPE)
    response = OpenApiResponse(_PROBLEM, description=description, examples=[example])
    return {(status.value, CONTENT_TYPE): response}


def describe_refusals(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add to each call the refusals that follow from its form, and to the whole what holds for all calls."""
    result["info"]["description"] = _DESCRIPTION
    components = result.setdefault("components", {})
    components.setdefault("schemas", {}).update(_SCHEMAS)
    components["responses"] = {name: _response(*parts) for name, parts in _COMMON.items()}
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            for name in _names_of(path, method, operation):
                status = str(_COMMON[name][0].value)
                reference = {"$ref": f"#/components/responses/{name}"}
                operation["responses"].setdefault(status, reference)
            operation["responses"] = dict(sorted(operation["responses"].items()))
    return result


def _names_of(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    schemes = {name for scheme in operation.get("security", ()) for name in scheme}
    if "requestBody" in operation:
        yield from ("BadRequest", "ContentTooLarge", "UnsupportedMediaType")
    if schemes:
        yield "Unauthorized"
    if "cookieAuth" in schemes and method != "get":
        yield "Forbidden"
    if "{" in path:
        yield "NotFound"


# By name: the status, the problem's constant word, when it comes, its sentence, further members.
_COMMON: Final[dict[str, tuple[HTTPStatus, str, str, str, dict[str, Any]]]] = {
    "BadRequest": (
        HTTPStatus.BAD_REQUEST,
        "invalid",
        "The body is no JSON (parse-error), or not what the call takes (invalid); or what the "
        "`Idempotency-Key` holds is none (idempotency-key-invalid).",
        "The request is not valid; errors says where.",
        {"errors": [{"pointer": "/codec", "detail": '"betamax" is not a valid choice.'}]},
    ),
    "Unauthorized": (
        HTTPStatus.UNAUTHORIZED,
        "not-authenticated",
        "No credentials were given, or they are wrong or have expired.",
        "Authentication credentials were not provided.",
        {},
    ),
    "Forbidden": (
        HTTPStatus.FORBIDDEN,
        "permission-denied",
        "A browser's session without its CSRF token.",
        "CSRF Failed: CSRF token missing.",
        {},
    ),
    "NotFound": (
        HTTPStatus.NOT_FOUND,
        "not-found",
        "There is no such thing, or it belongs to someone else.",
        "There is no such thing, or it is not yours.",
        {},
    ),
    "ContentTooLarge": (
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "body-too-large",
        "The body is larger than the server reads (body-too-large), or its props are larger than can be "
        "handed on to Remotion (props-too-large).",
        "A body holds 1,000,000 bytes at the most. Put large data at a URL.",
        {},
    ),
    "UnsupportedMediaType": (
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The body is declared as something else than application/json.",
        'Unsupported media type "text/plain" in request.',
        {},
    ),
}


def _response(
    status: HTTPStatus, code: str, description: str, detail: str, extra: dict[str, Any]
) -> dict[str, Any]:
    example = problem(status, code, detail, **extra)
    return {
        "description": description,
        "content": {CONTENT_TYPE: {"schema": _PROBLEM, "example": example}},
    }

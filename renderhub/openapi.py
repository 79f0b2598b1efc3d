"""What the API's description says of every call alike: how it refuses, and in which form."""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, OpenApiResponse

from renderhub.exceptions import DATABASE_UNAVAILABLE
from renderhub.problems import CONTENT_TYPE, problem

Refusals = dict[tuple[int, str], OpenApiResponse]

_DESCRIPTION: Final = """Exports of Remotion videos: request, follow, download.

Programs sign in with a token (`POST /api/auth/token`, then `Authorization: Bearer …`), browsers with their
session. What belongs to someone else is answered as if it didn't exist. Times are ISO 8601 in UTC.

Errors are problem details (RFC 9457, `application/problem+json`). Their `type` is `urn:renderhub:problem:`
and one of `invalid` and `invalid-query` (with `errors`), `parse-error`, `not-authenticated`,
`authentication-failed`, `bad-authorization-header`, `token-not-valid`, `user-not-found`, `user-inactive`,
`permission-denied`, `not-found`, `method-not-allowed`, `not-acceptable`, `project-in-use`, `wrong-status`,
`body-too-large`, `length-required`, `unsupported-media-type`, `rate-limited` (with `violatedPolicies`),
`quota-exceeded` (with `pending` and `limit`), `internal-error` (with `errorId`, which finds it in the
server's log), `storage-unreachable`, `props-too-large`, `props-too-deep`, `idempotency-key-invalid`,
`idempotency-key-reused`, `idempotency-key-in-use`, `batch-invalid` (with `errors`); of the webhooks
`signature`, `malformed-webhook`, `unknown-export`.

Calls are counted, for each user, or for each address where nobody is signed in. Every answer to a counted
call says in `RateLimit-Policy` how many there may be, and in `RateLimit` how many are left and for how many
seconds, as draft-ietf-httpapi-ratelimit-headers has it. Beyond that it is answered by 429 and `Retry-After`.
"""

_PARAMETERS: Final = {
    "projectId": "The id of a project, as createProject and listProjects give it.",
    "exportId": "The id of an export, as createExport and listExports give it.",
    "batchId": "The id of a batch, as createBatch gives it.",
    "format": "The same as the header Accept.",
}

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
                "description": "Of the types invalid, invalid-query and batch-invalid: all that is wrong.",
                "items": {"$ref": "#/components/schemas/FieldError"},
            },
            "total": {"type": "integer", "description": "Of batch-invalid: how many rows were sent."},
            "accepted": {"type": "integer", "description": "Of batch-invalid: how many are right."},
            "refused": {"type": "integer", "description": "Of batch-invalid: how many are wrong."},
            "exportStatus": {"type": "string", "description": "Of the type wrong-status: the present one."},
            "violatedPolicies": {
                "type": "array",
                "description": "Of the type rate-limited: the names of the limits, as in RateLimit-Policy.",
                "items": {"type": "string"},
            },
            "pending": {
                "type": "integer",
                "description": "Of the type quota-exceeded: how many exports are.",
            },
            "limit": {
                "type": "integer",
                "description": "Of the type quota-exceeded: how many may be.",
            },
            "errorId": {
                "type": "string",
                "description": "Of the type internal-error: what finds it in the server's log.",
            },
        },
    },
    "FieldError": {
        "type": "object",
        "required": ["detail"],
        "properties": {
            "pointer": {
                "type": "string",
                "description": "JSON pointer (RFC 6901) to the field in the body; empty: the body itself.",
                "example": "/inputProps/title",
            },
            "parameter": {"type": "string", "description": "The name of the parameter in the query."},
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
    components["headers"] = _HEADERS
    components["responses"] = {name: _response(*parts) for name, parts in _COMMON.items()}
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            for name in _names_of(path, method, operation):
                status = str(_COMMON[name][0].value)
                reference = {"$ref": f"#/components/responses/{name}"}
                response = operation["responses"].setdefault(status, reference)
                if name == "TooManyRequests" and response is not reference:
                    # The call has a further reason of its own.
                    response["headers"] = _references("headers", _HEADERS)
            for parameter in operation.get("parameters", ()):
                if parameter["name"] in _PARAMETERS:
                    parameter["description"] = _PARAMETERS[parameter["name"]]
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
    # Django REST framework answers so to a format that there isn't, too.
    if "{" in path or any(parameter["name"] == "format" for parameter in operation.get("parameters", ())):
        yield "NotFound"
    yield from ("TooManyRequests", "ServiceUnavailable")


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
    "TooManyRequests": (
        HTTPStatus.TOO_MANY_REQUESTS,
        "rate-limited",
        "It was asked too often; Retry-After says when to ask again.",
        "That was asked more often than 120 times in 60 seconds. Try again in 24 seconds.",
        {"violatedPolicies": ["writes"]},
    ),
    "ServiceUnavailable": (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "database-unavailable",
        "The database can't be reached; Retry-After says when to ask again.",
        DATABASE_UNAVAILABLE,
        {},
    ),
}

_HEADERS: Final = {
    "Retry-After": {
        "description": "After how many seconds to ask again; not where a quota is exceeded, which time alone "
        "doesn't mend.",
        "schema": {"type": "integer"},
        "example": 24,
    },
    "RateLimit-Policy": {
        "description": "The limits that the call counts for: how many calls (q) in how many seconds (w).",
        "schema": {"type": "string"},
        "example": '"writes";q=120;w=60',
    },
    "RateLimit": {
        "description": "How many calls of each are left (r), and for how many seconds (t).",
        "schema": {"type": "string"},
        "example": '"writes";r=0;t=24',
    },
}


def _response(
    status: HTTPStatus, code: str, description: str, detail: str, extra: dict[str, Any]
) -> dict[str, Any]:
    example = problem(status, code, detail, **extra)
    response = {
        "description": description,
        "content": {CONTENT_TYPE: {"schema": _PROBLEM, "example": example}},
    }
    if status is HTTPStatus.TOO_MANY_REQUESTS:
        response["headers"] = _references("headers", _HEADERS)
    elif status is HTTPStatus.SERVICE_UNAVAILABLE:
        response["headers"] = _references("headers", ["Retry-After"])
    return response


def _references(kind: str, names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/{kind}/{name}"} for name in names}

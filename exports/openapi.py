"""The description of the webhooks' address, made of the contract that it shares with the worker."""

import json
import re
import types
import typing
from dataclasses import MISSING, fields
from http import HTTPStatus
from typing import Annotated, Any, Final

from lambda_worker import contract, signing
from lambda_worker.contract import (
    RenderCosts,
    RenderError,
    RenderFailure,
    RenderProgress,
    RenderStarted,
    RenderSuccess,
    RenderThrottled,
    RenderTimeout,
    WorkerUse,
)
from lambda_worker.wire import Short, Within
from renderhub.problems import CONTENT_TYPE, problem

_PATH: Final = "/api/exports/webhook"
_SCHEME: Final = "webhookSignature"
# The types of Remotion's own.
_NATIVE: Final = ("success", "error", "timeout")


def describe_webhook(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the call by which the worker and Remotion report; its view is none of Django REST framework's."""
    components = result.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    reports = {kind.type: kind for kind in typing.get_args(contract.Webhook)}
    for kind in reports.values():
        schemas[kind.__name__] = _report(kind)
    native = _object(contract.RemotionWebhook)
    native["properties"]["type"]["enum"] = list(_NATIVE)
    schemas["RemotionWebhook"] = {**native, "description": contract.RemotionWebhook.__doc__}
    schemas["WebhookAnswer"] = {
        "type": "object",
        "properties": {"action": {"type": "string", "enum": [str(action) for action in contract.Action]}},
        "description": "What the worker does next; empty where nothing was asked.",
    }
    components.setdefault("securitySchemes", {})[_SCHEME] = {
        "type": "apiKey",
        "in": "header",
        "name": signing.HEADER,
        "description": "`sha256=` (the worker) or `sha512=` (Remotion) and the HMAC of the raw body in hex, "
        "keyed with one of WEBHOOK_SECRETS.",
    }
    names = {type: kind.__name__ for type, kind in reports.items()}
    result["paths"][_PATH] = {"post": _operation({**names, **dict.fromkeys(_NATIVE, "RemotionWebhook")})}
    result["paths"] = dict(sorted(result["paths"].items()))
    return result


def _operation(names: dict[str, str]) -> dict[str, Any]:
    """Return the call, with the name of each type's schema."""
    mapping = {type: f"#/components/schemas/{name}" for type, name in names.items()}
    body = {
        "oneOf": [{"$ref": reference} for reference in dict.fromkeys(mapping.values())],
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }
    return {
        "operationId": "receiveWebhook",
        "summary": "Report of a render",
        "description": "From the worker, and from Remotion's own function, as its documentation on webhooks "
        "says. One of an unknown type is answered with 200 and changes nothing.",
        "tags": ["webhooks"],
        "security": [{_SCHEME: []}],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": body, "examples": _examples(_reports())}},
        },
        "responses": {
            "200": {
                "description": "It was taken, or changed nothing.",
                "content": {
                    "application/json": {
                        "schema": {"$ref": "#/components/schemas/WebhookAnswer"},
                        "examples": _examples(_ANSWERS),
                    }
                },
            },
            "400": _refusal(
                "A well-signed body that is no report of a render.",
                problem(HTTPStatus.BAD_REQUEST, "malformed-webhook", "Malformed: exportId must be a text."),
            ),
            "401": _refusal(
                "The signature or the timestamp proves nothing; nothing was stored.",
                problem(
                    HTTPStatus.UNAUTHORIZED,
                    "signature",
                    "Refused: the header X-Remotion-Signature is missing.",
                ),
            ),
            "404": _refusal(
                "There is no such export.",
                problem(HTTPStatus.NOT_FOUND, "unknown-export", "There is no such export."),
            ),
            "413": {"$ref": "#/components/responses/ContentTooLarge"},
        },
    }


def _examples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: {"value": value} for name, value in values.items()}


def _refusal(description: str, example: dict[str, Any]) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {CONTENT_TYPE: {"schema": schema, "example": example}}}


def _report(kind: Any) -> dict[str, Any]:
    """Return the JSON Schema of a webhook of the worker: its envelope's fields, then its own."""
    schema = _object(contract.Envelope)
    own = _object(kind)
    schema["properties"] |= own["properties"] | {"type": {"type": "string", "enum": [kind.type]}}
    schema["required"] += own.get("required", [])
    return {**schema, "description": _MARKUP.sub("`", kind.__doc__.partition("\n")[0])}


def _object(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    required = [
        _camel(each.name)
        for each in fields(kind)
        if each.default is MISSING and each.default_factory is MISSING
    ]
    return {
        "type": "object",
        "properties": {_camel(each.name): _value(hints[each.name]) for each in fields(kind)},
        # OpenAPI 3.0 takes no empty list.
        **({"required": required} if required else {}),
        # What the receiver doesn't know, it ignores.
        "additionalProperties": True,
    }


def _value(hint: Any) -> dict[str, Any]:
    if typing.get_origin(hint) is Annotated:
        plain, bound = typing.get_args(hint)
        return _value(plain) | _bounds(bound)
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return _value(next(kind for kind in typing.get_args(hint) if kind is not types.NoneType))
    if typing.get_origin(hint) is tuple:
        return {"type": "array", "items": _value(typing.get_args(hint)[0])}
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    return _object(hint)


def _bounds(bound: Within | Short) -> dict[str, Any]:
    if isinstance(bound, Short):
        return {"maxLength": bound.max_chars}
    return {"minimum": bound.least, "maximum": bound.greatest}


# What docstrings put around a name, and Markdown doesn't.
_MARKUP: Final = re.compile(r"``|:class:`")

_PLAIN: Final = {str: "string", int: "integer", float: "number", bool: "boolean"}


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


# --- Examples -----------------------------------------------------------------------------------------------

_ANSWERS: Final[dict[str, Any]] = {
    "none": {},
    **{str(action): {"action": str(action)} for action in contract.Action},
}

_TOKEN: Final = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"  # noqa: S105  # the id of an invocation
_EXPORT_ID: Final = "01936f5e-7b8a-7c3d-9e2f-4a5b6c7d8e9f"
_RENDER_ID: Final = "8hfxlw5kz1"
_BUCKET: Final = "remotionlambda-renderhub-123456789012-eu-central-1"
_KEY: Final = f"renders/export-{_EXPORT_ID}.mp4"
_FILE: Final = f"https://s3.eu-central-1.amazonaws.com/{_BUCKET}/{_KEY}"


def _reports() -> dict[str, Any]:
    """Return an example of each webhook, by the name of the tests' golden file that it equals."""
    claimed: dict[str, Any] = {"export_id": _EXPORT_ID, "attempt": 1}
    about: dict[str, Any] = {**claimed, "worker": WorkerUse(ms=143, memory_mb=512)}
    render: dict[str, Any] = {**about, "render_id": _RENDER_ID, "bucket_name": _BUCKET}
    thrown = "Cannot read properties of undefined (reading '{')"
    stack = f"TypeError: {thrown}\n    at MainComposition (bundle.js:1:2345)"
    webhooks: dict[str, contract.Webhook] = {
        "render_started": RenderStarted(**claimed, token=_TOKEN, version=2),
        "render_progress_first": RenderProgress(**render, progress=0.0, token=_TOKEN),
        "render_progress": RenderProgress(**render, progress=8 / 15, costs=RenderCosts(amount_usd=0.00123)),
        "render_throttled": RenderThrottled(**about, token=_TOKEN, reason="TooManyRequestsException"),
        "render_success": RenderSuccess(
            **render,
            output_key=_KEY,
            output_file=_FILE,
            output_size_bytes=1_234_567,
            costs=RenderCosts(amount_usd=0.00316),
        ),
        "render_error": RenderError(
            **render,
            errors=(RenderFailure(message=thrown, stack=stack),),
            costs=RenderCosts(amount_usd=0.00042),
        ),
        "render_error_at_start": RenderError(
            **about,
            errors=(RenderFailure(message="ResourceNotFoundException: Function not found"),),
            retryable=False,
            code="function_missing",
            token=_TOKEN,
        ),
        "render_timeout": RenderTimeout(**render, costs=RenderCosts(amount_usd=0.05)),
    }
    sent = {
        name: contract.dump_webhook(
            webhook, id=f"6f9619ff-8b86-4d01-b42d-00cf4fc964{number:02}", timestamp=1_764_000_000.25 + number
        )
        for number, (name, webhook) in enumerate(webhooks.items(), start=1)
    }
    return {**{name: json.loads(body) for name, body in sent.items()}, **_native_reports()}


def _native_reports() -> dict[str, Any]:
    about = {
        "renderId": _RENDER_ID,
        "expectedBucketOwner": "123456789012",
        "bucketName": _BUCKET,
        "customData": {"exportId": _EXPORT_ID, "attempt": 1},
    }
    thrown = (
        "Error: Could not find composition with ID MainCompositon. Available compositions: MainComposition"
    )
    places = (
        "validateComposition (/var/task/index.js:1234:56)",
        "async launchHandler (/var/task/index.js:2345:67)",
    )
    stack = "".join(f"\n    at {place}" for place in places)
    return {
        "remotion_success": {
            "type": "success",
            **about,
            "outputUrl": _FILE,
            "lambdaErrors": [],
            "outputFile": _FILE,
            "timeToFinish": 15_234,
            "costs": {
                "currency": "USD",
                "disclaimer": "Estimated cost for function invocations only. Does not include cost for "
                "storage and data transfer.",
                "estimatedCost": 0.00316,
                "estimatedDisplayCost": "$0.003",
            },
        },
        "remotion_error": {
            "type": "error",
            **about,
            "errors": [{"message": thrown, "name": "Error", "stack": f"Error: {thrown}{stack}"}],
        },
        "remotion_timeout": {"type": "timeout", **about},
    }

"""The description of the webhooks' address, made of the contract that it shares with the worker."""

import re
import types
import typing
from dataclasses import MISSING, fields
from typing import Annotated, Any, Final

from lambda_worker import contract, signing
from lambda_worker.wire import Short, Within
from renderhub.problems import CONTENT_TYPE

_PATH: Final = "/api/exports/webhook"
_SCHEME: Final = "webhookSignature"


def describe_webhook(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add the call by which the worker and Remotion report; its view is none of Django REST framework's."""
    components = result.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    reports = {kind.type: kind for kind in typing.get_args(contract.Webhook)}
    for kind in reports.values():
        schemas[kind.__name__] = _report(kind)
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
    result["paths"][_PATH] = {"post": _operation(reports)}
    result["paths"] = dict(sorted(result["paths"].items()))
    return result


def _operation(reports: dict[str, Any]) -> dict[str, Any]:
    mapping = {type: f"#/components/schemas/{kind.__name__}" for type, kind in reports.items()}
    body = {
        "oneOf": [{"$ref": reference} for reference in mapping.values()],
        "discriminator": {"propertyName": "type", "mapping": mapping},
    }
    started = {
        "id": "6f9619ff-8b86-4d01-b42d-00cf4fc96401",
        "timestamp": 1764000001.25,
        "type": "render_started",
        "exportId": "01936f5e-7b8a-7c3d-9e2f-4a5b6c7d8e9f",
        "attempt": 1,
        "token": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "version": 2,
    }
    return {
        "operationId": "receiveWebhook",
        "summary": "Report of a render",
        "description": "From the worker, as described here, and from Remotion's own function, as its "
        "documentation on webhooks says. One of an unknown type is answered with 200 and changes nothing.",
        "tags": ["webhooks"],
        "security": [{_SCHEME: []}],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": body, "example": started}},
        },
        "responses": {
            "200": {
                "description": "It was taken, or changed nothing.",
                "content": {
                    "application/json": {
                        "schema": {"$ref": "#/components/schemas/WebhookAnswer"},
                        "example": {"action": "render"},
                    }
                },
            },
            "400": _refusal("A well-signed body that is no report of a render (malformed-webhook)."),
            "401": _refusal("The signature or the timestamp proves nothing; nothing was stored (signature)."),
            "404": _refusal("There is no such export (unknown-export)."),
            "413": {"$ref": "#/components/responses/ContentTooLarge"},
        },
    }


def _refusal(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def _report(kind: Any) -> dict[str, Any]:
    """Return the JSON Schema of a webhook of the worker: its envelope's fields, then its own."""
    schema = _object(contract.Envelope)
    own = _object(kind)
    schema["properties"] |= own["properties"] | {"type": {"type": "string", "enum": [kind.type]}}
    schema["required"] += own["required"]
    return {**schema, "description": _MARKUP.sub("`", kind.__doc__.partition("\n")[0])}


def _object(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {
        "type": "object",
        "properties": {_camel(each.name): _value(hints[each.name]) for each in fields(kind)},
        "required": [
            _camel(each.name)
            for each in fields(kind)
            if each.default is MISSING and each.default_factory is MISSING
        ],
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

"""What travels between the API and the worker: queue messages, webhooks, and the answers to webhooks.

Both sides import this module and nothing else of each other. API and worker are deployed at different
moments, so unknown fields are ignored and a field added later is optional. Names are camelCase on the wire
and snake_case here; the conversion happens in this module alone. It needs the standard library only.

Times are Unix seconds as float, money is in US dollars, sizes are in bytes, progress runs from 0 to 1.
"""

import builtins
import json
import math
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Protocol, Self, dataclass_transform

RENDER_VIDEO: Final = "RENDER_VIDEO"

CODEC_EXTENSIONS: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        "h264": "mp4",
        "h265": "mp4",
        "vp8": "webm",
        "vp9": "webm",
        "prores": "mov",
        "gif": "gif",
        "mp3": "mp3",
        "aac": "aac",
        "wav": "wav",
    }
)
"""Every codec that renderhub offers for whole compositions, and the extension of the file that it makes."""


class ContractError(ValueError):
    """Bytes that are no message or webhook of this contract; the text names the field and what is wrong."""


def output_key(*, export_id: str, attempt: int, codec: str) -> str:
    """Return the key of an attempt's output in the deployment's bucket.

    It can be told without asking anyone, so that an output whose webhooks were all lost can still be found.

    Raises:
        ContractError: the codec is none of :data:`CODEC_EXTENSIONS`.
    """
    if codec not in CODEC_EXTENSIONS:
        raise ContractError(f"codec must be one of {', '.join(CODEC_EXTENSIONS)}")
    suffix = "" if attempt == 1 else f"-{attempt}"
    return f"renders/export-{export_id}{suffix}.{CODEC_EXTENSIONS[codec]}"


# --- Bounds -------------------------------------------------------------------------------------------------

# No wider than what every database keeps: a value beyond them is refused here, not by one of them later.


class _Bound(Protocol):
    def refuse(self, value: Any) -> str | None:
        """Return what a value beyond the bound must be, ``None`` for one within it."""


@dataclass(frozen=True, slots=True)
class Within:
    """A number's bounds, both included."""

    least: float
    greatest: float

    def refuse(self, value: Any) -> str | None:
        """Return what a number out of bounds must be."""
        # Written so that a NaN is refused too.
        return None if self.least <= value <= self.greatest else f"from {self.least} to {self.greatest}"


@dataclass(frozen=True, slots=True)
class Short:
    """Text of so many characters at the most, without those that databases or encoders refuse."""

    max_chars: int

    def refuse(self, value: Any) -> str | None:
        """Return what an unfit text must be."""
        if len(value) <= self.max_chars and not _UNSTORABLE.search(value):
            return None
        return f"a text of at most {self.max_chars} characters, without NUL and lone surrogates"


_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")

Ordinal = Annotated[int, Within(1, 2**31 - 1)]
Bytes = Annotated[int, Within(0, 2**63 - 1)]
Fraction = Annotated[float, Within(0, 1)]
Dollars = Annotated[float, Within(0, 100_000)]
LambdaMs = Annotated[int, Within(0, 900_000)]
LambdaMemory = Annotated[int, Within(128, 10_240)]
Name = Annotated[str, Short(100)]


# --- Conversion ---------------------------------------------------------------------------------------------


@dataclass_transform(frozen_default=True, kw_only_default=True)
def _wire(cls: builtins.type[Any]) -> builtins.type[Any]:
    return dataclass(frozen=True, slots=True, kw_only=True)(cls)


@cache
def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


@cache
def _hints(cls: builtins.type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def _dump(value: Any) -> Any:
    if isinstance(value, _Wire):
        return value.dump()
    if isinstance(value, tuple):
        return [_dump(item) for item in value]
    return value


def _parse_value(hint: Any, value: Any, path: str) -> Any:
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is Annotated:
        kind, bound = arguments
        parsed = _parse_value(kind, value, path)
        wanted = bound.refuse(parsed)
        if wanted:
            raise ContractError(f"{path} must be {wanted}")
        return parsed
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        return _parse_value(next(kind for kind in arguments if kind is not type(None)), value, path)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ContractError(f"{path} must be a list")
        return tuple(_parse_value(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if typing.get_origin(hint) is dict:
        if not isinstance(value, dict):
            raise ContractError(f"{path} must be an object")
        return value
    if isinstance(hint, type) and issubclass(hint, _Wire):
        return hint.parse(value, path=path)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise ContractError(f"{path} is too large") from None
    if hint is int and isinstance(value, bool):
        raise ContractError(f"{path} must be a whole number")
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        try:
            return hint(value)
        except ValueError:
            raise ContractError(f"{path} must be one of {', '.join(hint)}") from None
    if not isinstance(value, hint):
        raise ContractError(f"{path} must be {_KINDS[hint]}")
    return value


_KINDS: Final = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


class _Wire:
    """A frozen dataclass that reads itself from, and writes itself to, a JSON object with camelCase keys."""

    __slots__ = ()

    @classmethod
    def parse(cls, data: object, *, path: str = "") -> Self:
        """Build an instance from decoded JSON, ignoring unknown keys.

        Raises:
            ContractError: a required key is missing, or a value is of the wrong kind.
        """
        if not isinstance(data, dict):
            raise ContractError(f"{path or 'the message'} must be an object")
        values: dict[str, Any] = {}
        for each in fields(cls):  # type: ignore[arg-type]  # every subclass is a dataclass
            key = _camel(each.name)
            where = f"{path}.{key}" if path else key
            if key in data:
                values[each.name] = _parse_value(_hints(typing.cast("Any", cls))[each.name], data[key], where)
            elif each.default is MISSING and each.default_factory is MISSING:
                raise ContractError(f"{where} is missing")
        return cls(**values)

    def dump(self) -> dict[str, Any]:
        """Return what :meth:`parse` reads. Fields that are ``None`` are left out."""
        pairs = ((each.name, getattr(self, each.name)) for each in fields(self))  # type: ignore[arg-type]
        return {_camel(name): _dump(value) for name, value in pairs if value is not None}


def _finite(literal: str) -> float:
    """Refuse what Python reads as a number and JSON doesn't know, or can't write again."""
    value = float(literal)
    if not math.isfinite(value):
        raise ValueError(f"{literal[:16]} is no number")
    return value


def _decode(text: str | bytes) -> dict[str, Any]:
    try:
        data = json.loads(text, parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"the text is no JSON: {error}") from None
    if not isinstance(data, dict):
        raise ContractError("the text is JSON, but no object")
    return data


def _encode(data: Mapping[str, Any]) -> str:
    return json.dumps(data, separators=(",", ":"), allow_nan=False)


# --- Messages on the queue ----------------------------------------------------------------------------------


@_wire
class RenderConfig(_Wire):
    """What to render, copied from the export when its message is sent.

    Attributes:
        composition_id: the composition's id in the site.
        input_props: the props, any JSON object.
        codec: a key of :data:`CODEC_EXTENSIONS`.
        serve_url: where the bundled site lies.
        webhook_url: where the worker and Remotion report.
    """

    composition_id: str
    input_props: dict[str, Any]
    codec: str
    serve_url: str
    webhook_url: str


@_wire
class StartMessage(_Wire):
    """Asks the worker to claim an attempt of an export and to start its render.

    Attributes:
        version: the export's version when the message was sent; the claim holds at that version alone.
    """

    action: ClassVar[str] = "start"

    export_id: str
    project_id: str
    user_id: str
    attempt: Ordinal
    version: Ordinal
    render_config: RenderConfig


@_wire
class PollMessage(_Wire):
    """Asks the worker to look once at the progress of a render and to report what it finds."""

    action: ClassVar[str] = "poll"

    export_id: str
    project_id: str
    user_id: str
    attempt: Ordinal
    version: Ordinal
    codec: str
    render_id: Name
    bucket_name: Name
    webhook_url: str


Message = StartMessage | PollMessage

_MESSAGES: Final[Mapping[str, builtins.type[StartMessage] | builtins.type[PollMessage]]] = {
    kind.action: kind for kind in (StartMessage, PollMessage)
}


def parse_message(text: str) -> Message:
    """Read a queue message.

    Raises:
        ContractError: it is no JSON, of an unknown type or action, or incomplete.
    """
    data = _decode(text)
    if data.get("type") != RENDER_VIDEO:
        raise ContractError(f"type must be {RENDER_VIDEO}")
    kind = _MESSAGES.get(str(data.get("action")))
    if kind is None:
        raise ContractError(f"action must be one of {', '.join(_MESSAGES)}")
    return kind.parse(data)


def dump_message(message: Message) -> str:
    """Return the text that :func:`parse_message` reads."""
    return _encode({"type": RENDER_VIDEO, "action": message.action, **message.dump()})


# --- Webhooks of the worker ---------------------------------------------------------------------------------


@_wire
class RenderFailure(_Wire):
    """One error of a render, with Remotion's own words."""

    message: str
    stack: str = ""


@_wire
class RenderCosts(_Wire):
    """What a render has cost up to now, as Remotion estimates it.

    Attributes:
        amount_usd: US dollars.
    """

    amount_usd: Dollars


@_wire
class WorkerUse(_Wire):
    """What one invocation of the worker has used until it sent its last webhook, for the costs.

    What comes after that isn't in it: the wait for the API's answer, and a start of the runtime before.

    Attributes:
        ms: milliseconds, rounded up as Lambda bills them.
        memory_mb: the function's memory.
    """

    ms: LambdaMs
    memory_mb: LambdaMemory


@_wire
class _Webhook(_Wire):
    export_id: str
    attempt: Ordinal
    worker: WorkerUse | None = None


@_wire
class RenderStarted(_Webhook):
    """The claim: may this invocation start the render? Answered by an :class:`Answer`.

    Attributes:
        token: the Lambda request id of this invocation.
        version: the version that the start message carried.
    """

    type: ClassVar[str] = "render_started"

    token: Name
    version: Ordinal


@_wire
class RenderProgress(_Webhook):
    """A running render. With ``token`` it is the first report, which makes the ``render_id`` known.

    Attributes:
        progress: from 0 to 1.
    """

    type: ClassVar[str] = "render_progress"

    render_id: Name
    bucket_name: Name
    progress: Fraction = 0.0
    token: Name | None = None
    costs: RenderCosts | None = None


@_wire
class RenderThrottled(_Webhook):
    """The claimed render has surely not been started; the export keeps its place and starts later."""

    type: ClassVar[str] = "render_throttled"

    token: Name
    reason: Name = ""


@_wire
class RenderSuccess(_Webhook):
    """The render is finished and its file lies in the bucket.

    Attributes:
        output_key: the file's key; Remotion's own webhook doesn't carry it, but :func:`output_key` tells it.
        output_file: the file's plain address.
    """

    type: ClassVar[str] = "render_success"

    render_id: Name
    bucket_name: Name
    output_key: str | None = None
    output_file: str = ""
    output_size_bytes: Bytes | None = None
    costs: RenderCosts | None = None


@_wire
class RenderError(_Webhook):
    """The render failed, or could not be started.

    Attributes:
        retryable: whether a further attempt may succeed; where unset, the API tells it from ``errors``.
        code: a constant word for the cause, where the worker knows more than ``errors`` tell.
        token: set where no render was started; the invocation that had claimed the attempt.
    """

    type: ClassVar[str] = "render_error"

    errors: tuple[RenderFailure, ...]
    retryable: bool | None = None
    code: Name | None = None
    render_id: Name | None = None
    bucket_name: Name | None = None
    token: Name | None = None
    costs: RenderCosts | None = None


@_wire
class RenderTimeout(_Webhook):
    """A poll found that Remotion's function ended before the render did."""

    type: ClassVar[str] = "render_timeout"

    render_id: Name
    bucket_name: Name
    costs: RenderCosts | None = None


Webhook = RenderStarted | RenderProgress | RenderThrottled | RenderSuccess | RenderError | RenderTimeout

_WEBHOOKS: Final[Mapping[str, Any]] = {
    kind.type: kind
    for kind in (RenderStarted, RenderProgress, RenderThrottled, RenderSuccess, RenderError, RenderTimeout)
}


@_wire
class Envelope(_Wire):
    """What every webhook of the worker carries beside its own fields.

    Attributes:
        id: the same for every delivery of one webhook.
        timestamp: when this delivery was signed, Unix seconds.
        type: one of the webhook types; an unknown one is for the receiver to ignore.
    """

    id: str
    timestamp: float
    type: str


def parse_envelope(body: bytes) -> tuple[Envelope, dict[str, Any]]:
    """Read the outer fields of a verified webhook; the decoded body beside them is for :func:`parse_webhook`.

    Raises:
        ContractError: the body is no JSON object, or one of the outer fields is missing or malformed.
    """
    data = _decode(body)
    return Envelope.parse(data), data


def parse_webhook(data: Mapping[str, Any]) -> Webhook | None:
    """Read the decoded body of a webhook, or return ``None`` where its type is unknown to this version.

    Raises:
        ContractError: a field that its type needs is missing or malformed.
    """
    kind = _WEBHOOKS.get(str(data.get("type")))
    return None if kind is None else kind.parse(data)


def dump_webhook(webhook: Webhook, *, id: str, timestamp: float) -> bytes:
    """Return the body to sign and send."""
    return _encode({"id": id, "timestamp": timestamp, "type": webhook.type, **webhook.dump()}).encode()


class Action(StrEnum):
    """What the worker does next: the API's answer to ``render_started`` and the first ``render_progress``."""

    RENDER = "render"
    SKIP = "skip"
    KEEP = "keep"
    CANCEL = "cancel"


@_wire
class Answer(_Wire):
    """The API's answer to a webhook."""

    action: Action | None = None


def parse_answer(body: bytes) -> Answer:
    """Read the API's answer.

    Raises:
        ContractError: it is no JSON object, or its action is unknown.
    """
    return Answer.parse(_decode(body))


# --- Webhooks of Remotion itself ----------------------------------------------------------------------------


@_wire
class CustomData(_Wire):
    """What Remotion is given at the start and sends back; ASCII, 1,024 bytes at the most."""

    export_id: str
    attempt: Ordinal


@_wire
class _RemotionCosts(_Wire):
    estimated_cost: Dollars = 0.0


@_wire
class _RemotionWebhook(_Wire):
    type: str
    render_id: Name
    bucket_name: Name
    custom_data: CustomData
    errors: tuple[RenderFailure, ...] = ()
    costs: _RemotionCosts | None = None
    output_file: str = ""


def parse_remotion_webhook(body: bytes) -> RenderSuccess | RenderError | RenderTimeout | None:
    """Read a verified webhook of Remotion's own function as the worker's webhook of the same meaning.

    ``None`` stands for a type that this version doesn't know. Source: https://www.remotion.dev/docs/lambda/webhooks.

    Raises:
        ContractError: the body is no JSON object, a field is missing, or ``customData`` isn't the worker's.
    """
    native = _RemotionWebhook.parse(_decode(body))
    data, costs = native.custom_data, None
    if native.costs is not None:
        costs = RenderCosts(amount_usd=native.costs.estimated_cost)
    match native.type:
        case "success":
            return RenderSuccess(
                export_id=data.export_id,
                attempt=data.attempt,
                render_id=native.render_id,
                bucket_name=native.bucket_name,
                output_file=native.output_file,
                costs=costs,
            )
        case "error":
            return RenderError(
                export_id=data.export_id,
                attempt=data.attempt,
                errors=native.errors,
                render_id=native.render_id,
                bucket_name=native.bucket_name,
                costs=costs,
            )
        case "timeout":
            return RenderTimeout(
                export_id=data.export_id,
                attempt=data.attempt,
                render_id=native.render_id,
                bucket_name=native.bucket_name,
                costs=costs,
            )
        case _:
            return None

"""What travels between the API and the worker: queue messages, webhooks, and the answers to webhooks.

Both sides import this module and nothing else of each other. API and worker are deployed at different
moments, so unknown fields are ignored and a field added later is optional. It needs the standard library
only.

Times are Unix seconds as float, money is in US dollars, sizes are in bytes, progress runs from 0 to 1.
"""

import builtins
import types
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

from lambda_worker.wire import ContractError as ContractError
from lambda_worker.wire import Short, Wire, Within, decode, encode, wire

RENDER_VIDEO: Final = "RENDER_VIDEO"

STILLS: Final = frozenset({"png", "jpeg", "webp", "pdf"})
"""The codecs that make one frame a picture or a page; Remotion calls them image formats."""

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
        "png": "png",
        "jpeg": "jpeg",
        "webp": "webp",
        "pdf": "pdf",
    }
)
"""Every codec that renderhub offers, and the extension of the file that it makes."""

_UNCOMPRESSED: Final = "pcm-16"

_UNCOMPRESSED_EXTENSIONS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("h264", "h265", "vp8", "vp9"), "mkv"),
    **dict.fromkeys(("mp3", "aac"), "wav"),
}
"""Where uncompressed audio needs another container than the codec's usual one."""

Ordinal = Annotated[int, Within(1, 2**31 - 1)]
Bytes = Annotated[int, Within(0, 2**63 - 1)]
Fraction = Annotated[float, Within(0, 1)]
Dollars = Annotated[float, Within(0, 100_000)]
LambdaMs = Annotated[int, Within(0, 900_000)]
LambdaMemory = Annotated[int, Within(128, 10_240)]
Name = Annotated[str, Short(100)]


def extension_of(codec: str, audio_codec: str | None = None) -> str:
    """Return the extension of the file that a codec makes with an audio codec, or with its usual one.

    Raises:
        ContractError: the codec is none of :data:`CODEC_EXTENSIONS`.
    """
    if codec not in CODEC_EXTENSIONS:
        raise ContractError(f"codec must be one of {', '.join(CODEC_EXTENSIONS)}")
    if audio_codec == _UNCOMPRESSED:
        return _UNCOMPRESSED_EXTENSIONS.get(codec, CODEC_EXTENSIONS[codec])
    return CODEC_EXTENSIONS[codec]


def output_key(*, export_id: str, attempt: int, codec: str, audio_codec: str | None = None) -> str:
    """Return the key of an attempt's output in the deployment's bucket.

    It can be told without asking anyone, so that an output whose webhooks were all lost can still be found.

    Raises:
        ContractError: the codec is none of :data:`CODEC_EXTENSIONS`.
    """
    suffix = "" if attempt == 1 else f"-{attempt}"
    return f"renders/export-{export_id}{suffix}.{extension_of(codec, audio_codec)}"


# --- Messages on the queue ----------------------------------------------------------------------------------


@wire
class DownloadBehavior(Wire):
    """What a browser does with the file's address: ``play-in-browser`` or ``download``, under a name."""

    type: str
    file_name: str | None = None


@wire
class RenderOptions(Wire):
    """How to render, each as Remotion names and means it; what isn't set is Remotion's default.

    Attributes:
        frame_range: the first and the last frame, both included; ``None`` for the last means to the end.
        fps, width, height, duration_in_frames: in place of the composition's own.
        timeout_in_milliseconds: how long the composition may wait for what it loads.
    """

    scale: float | None = None
    crf: int | None = None
    jpeg_quality: int | None = None
    image_format: str | None = None
    audio_codec: str | None = None
    frame_range: tuple[int | None, ...] | None = None
    every_nth_frame: int | None = None
    muted: bool | None = None
    pixel_format: str | None = None
    x264_preset: str | None = None
    pro_res_profile: str | None = None
    number_of_gif_loops: int | None = None
    frames_per_lambda: int | None = None
    fps: float | None = None
    width: int | None = None
    height: int | None = None
    duration_in_frames: int | None = None
    timeout_in_milliseconds: int | None = None
    download_behavior: DownloadBehavior | None = None


@wire
class RenderConfig(Wire):
    """What to render, copied from the export when its message is sent.

    Attributes:
        composition_id: the composition's id in the site.
        input_props: the props, any JSON object.
        codec: a key of :data:`CODEC_EXTENSIONS`.
        serve_url: where the bundled site lies.
        webhook_url: where the worker and Remotion report.
        frame: of a still, which frame; a negative one counts from the end.
    """

    composition_id: str
    input_props: dict[str, Any]
    codec: str
    serve_url: str
    webhook_url: str
    frame: int | None = None
    render_options: RenderOptions | None = None

    @property
    def audio_codec(self) -> str | None:
        """The audio codec that was asked for."""
        return None if self.render_options is None else self.render_options.audio_codec


@wire
class StartMessage(Wire):
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


@wire
class PollMessage(Wire):
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
    audio_codec: Name | None = None


Message = StartMessage | PollMessage

_MESSAGES: Final[Mapping[str, builtins.type[StartMessage] | builtins.type[PollMessage]]] = {
    kind.action: kind for kind in (StartMessage, PollMessage)
}


def parse_message(text: str) -> Message:
    """Read a queue message.

    Raises:
        ContractError: it is no JSON, of an unknown type or action, or incomplete.
    """
    data = decode(text)
    if data.get("type") != RENDER_VIDEO:
        raise ContractError(f"type must be {RENDER_VIDEO}")
    kind = _MESSAGES.get(str(data.get("action")))
    if kind is None:
        raise ContractError(f"action must be one of {', '.join(_MESSAGES)}")
    return kind.parse(data)


def dump_message(message: Message) -> str:
    """Return the text that :func:`parse_message` reads."""
    return encode({"type": RENDER_VIDEO, "action": message.action, **message.dump()})


# --- Webhooks of the worker ---------------------------------------------------------------------------------


@wire
class RenderFailure(Wire):
    """One error of a render, with Remotion's own words."""

    message: str
    stack: str = ""


@wire
class RenderCosts(Wire):
    """What a render has cost up to now, as Remotion estimates it.

    Attributes:
        amount_usd: US dollars.
    """

    amount_usd: Dollars


@wire
class WorkerUse(Wire):
    """What one invocation of the worker has used until it sent its last webhook, for the costs.

    What comes after that isn't in it: the wait for the API's answer, and a start of the runtime before.

    Attributes:
        ms: milliseconds, rounded up as Lambda bills them.
        memory_mb: the function's memory.
    """

    ms: LambdaMs
    memory_mb: LambdaMemory


@wire
class _Webhook(Wire):
    export_id: str
    attempt: Ordinal
    worker: WorkerUse | None = None


@wire
class RenderStarted(_Webhook):
    """The claim: may this invocation start the render? Answered by an :class:`Answer`.

    Attributes:
        token: the Lambda request id of this invocation.
        version: the version that the start message carried.
    """

    type: ClassVar[str] = "render_started"

    token: Name
    version: Ordinal


@wire
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


@wire
class RenderThrottled(_Webhook):
    """The claimed render has surely not been started; the export keeps its place and starts later."""

    type: ClassVar[str] = "render_throttled"

    token: Name
    reason: Name = ""


@wire
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


@wire
class RenderError(_Webhook):
    """The render failed, or could not be started.

    Attributes:
        retryable: whether a further attempt may succeed; where unset, the API tells it from ``errors``.
        code: a constant word for the cause, where the worker knows more than ``errors`` tell.
        token: set where no ``render_id`` is known; the invocation that had claimed the attempt.
    """

    type: ClassVar[str] = "render_error"

    errors: tuple[RenderFailure, ...]
    retryable: bool | None = None
    code: Name | None = None
    render_id: Name | None = None
    bucket_name: Name | None = None
    token: Name | None = None
    costs: RenderCosts | None = None


@wire
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


@wire
class Envelope(Wire):
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
    data = decode(body)
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
    return encode({"id": id, "timestamp": timestamp, "type": webhook.type, **webhook.dump()}).encode()


class Action(StrEnum):
    """What the worker does next: the API's answer to ``render_started`` and the first ``render_progress``."""

    RENDER = "render"
    SKIP = "skip"
    KEEP = "keep"
    CANCEL = "cancel"


@wire
class Answer(Wire):
    """The API's answer to a webhook."""

    action: Action | None = None


def parse_answer(body: bytes) -> Answer:
    """Read the API's answer.

    Raises:
        ContractError: it is no JSON object, or its action is unknown.
    """
    return Answer.parse(decode(body))


# --- Webhooks of Remotion itself ----------------------------------------------------------------------------


@wire
class CustomData(Wire):
    """What Remotion is given at the start and sends back; ASCII, 1,024 bytes at the most."""

    export_id: str
    attempt: Ordinal


@wire
class _RemotionCosts(Wire):
    estimated_cost: Dollars = 0.0


@wire
class RemotionWebhook(Wire):
    """What Remotion's own function sends at a render's end, as far as it is read."""

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
    native = RemotionWebhook.parse(decode(body))
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

"""Remotion Lambda as the worker sees it: start a render or make a still, look at the progress, cancel.

Requests are built by the PyPI client ``remotion-lambda``; the function is invoked here, not by the client's
``render_media_on_lambda`` and its like. Those count braces inside strings when they split the
answer, so that an unbalanced one in an error text makes them fail on a sound answer; they then log it whole,
input props included; and they drop the header that tells a crashed function from one that answered.

Source of the answers: https://github.com/remotion-dev/remotion, packages/serverless-client, version 4.0.527.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
)
from remotion_lambda import RemotionClient, RenderMediaParams, RenderStillParams
from remotion_lambda.exception import RemotionException

from lambda_worker.contract import CustomData, RenderConfig, RenderCosts, RenderFailure
from lambda_worker.payloads import media_params, still_params
from lambda_worker.settings import Settings

CONNECT_TIMEOUT_S: Final = 5
START_TIMEOUT_S: Final = 60
STILL_TIMEOUT_S: Final = 90
"""Remotion answers a still when it is finished."""

STATUS_TIMEOUT_S: Final = 20

_MAX_PROPS_BYTES: Final = 193_976
"""Above it the client puts the props into a bucket that it picks, or makes, itself, whatever it was told."""

_MAX_LAUNCH_CHARS: Final = 250_000
"""Remotion's function hands the props on to itself as a string in JSON, in 256 KiB with all else."""

_MAX_ERRORS: Final = 5
_MAX_MESSAGE_CHARS: Final = 2_000
_MAX_STACK_CHARS: Final = 4_000

_TIMEOUT_MESSAGE: Final = "The main function timed out after"
_TIMEOUT_GRACE_MS: Final = 20_000

_THROTTLED: Final = frozenset(
    {"TooManyRequestsException", "ConcurrentInvocationLimitExceeded", "ThrottlingException", "Throttling"}
)
_NEVER_CONNECTED: Final = (ConnectTimeoutError, EndpointConnectionError)
_NEVER_SIGNED: Final = (CredentialRetrievalError, NoCredentialsError, PartialCredentialsError)


class NotStartedError(Exception):
    """The render has surely not been started, and a later start of the same attempt can succeed."""


class StartRefusedError(Exception):
    """The render has not been started, and the same start would be refused again.

    Attributes:
        failure: what was wrong, for the export's owner.
        code: a constant word for the cause, where it is known: ``access_denied``, ``function_missing``,
            ``props_too_large`` or ``start_refused``. None of them goes away by itself.
    """

    def __init__(self, failure: RenderFailure, *, code: str | None) -> None:
        super().__init__(code or "answered with an error")
        self.failure = failure
        self.code = code


class StartUnknownError(Exception):
    """The render may or may not have been started; the text is a constant word for what came instead."""


class ProgressUnknownError(Exception):
    """Remotion didn't tell the progress; the text is a constant word for the reason."""


class Stage(StrEnum):
    """Where a render is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A render that has been started."""

    render_id: str
    bucket_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Still(Started):
    """A still that is finished."""

    output_key: str | None
    output_file: str
    output_size_bytes: int | None
    costs: RenderCosts | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What Remotion knows of a render.

    Attributes:
        fraction: from 0 to 1. It can be smaller than the last time.
        errors: what a failed render has failed of.
        output_key, output_file, output_size_bytes: of a render that is done.
    """

    stage: Stage
    fraction: float
    costs: RenderCosts | None
    errors: tuple[RenderFailure, ...] = ()
    output_key: str | None = None
    output_file: str = ""
    output_size_bytes: int | None = None


class Remotion:
    """Talks to the deployment's Remotion function."""

    def __init__(
        self,
        settings: Settings,
        *,
        session: Session,
        start_timeout_s: float = START_TIMEOUT_S,
        still_timeout_s: float = STILL_TIMEOUT_S,
        status_timeout_s: float = STATUS_TIMEOUT_S,
    ) -> None:
        self._settings = settings
        self._session = session
        self._once = _never_repeated(start_timeout_s)
        self._still_once = _never_repeated(still_timeout_s)
        self._repeatable = Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=status_timeout_s,
            retries={"total_max_attempts": 3, "mode": "standard"},
        )

    # Made at first use, since making a client costs a cold start 0.1 s, and kept while the function is warm.
    @cached_property
    def _starter(self) -> Any:
        return self._session.client("lambda", region_name=self._settings.region, config=self._once)

    @cached_property
    def _still_maker(self) -> Any:
        return self._session.client("lambda", region_name=self._settings.region, config=self._still_once)

    @cached_property
    def _reader(self) -> Any:
        return self._session.client("lambda", region_name=self._settings.region, config=self._repeatable)

    def start(self, config: RenderConfig, *, export_id: str, attempt: int, output_key: str) -> Started:
        """Start a render: one request, never repeated.

        How an unhappy answer is judged:

        * No connection was made, Lambda throttled the request (429), or the function is just being updated
          (409): it didn't run.
        * Any other 4xx, or no credentials: Lambda refused to run the function, and would again.
        * The function ran and answered with an error of its own: it hasn't launched the render, or couldn't
          write the render's progress, and a render that can't be followed may as well be replaced. Where its
          own launch was throttled, nothing runs yet.
        * The function crashed, before or after the launch; 5xx; a time-out; a broken connection; an answer
          that is none: unknown. A render that did start after all tells its end by its own webhook.

        Raises:
            NotStartedError: surely not started; later, the same start may succeed.
            StartRefusedError: surely not started, and there is no use in trying again.
            StartUnknownError: the render may have been started.
        """
        params = media_params(
            config,
            bucket=self._settings.bucket,
            output_key=output_key,
            secret=self._settings.webhook_secret,
            custom_data=CustomData(export_id=export_id, attempt=attempt),
        )
        return self._started(self._begin(self._starter, config, params))

    def still(self, config: RenderConfig, *, output_key: str) -> Still:
        """Make a still and wait for it: one request, never repeated, judged as that of :meth:`start` is.

        The function's own error is the still's: it has run, and ended without a file.

        Raises:
            NotStartedError: surely not made; later, the same request may succeed.
            StartRefusedError: surely not made, and there is no use in asking as it is.
            StartUnknownError: the still may have been made, or may be yet.
        """
        params = still_params(config, bucket=self._settings.bucket, output_key=output_key)
        answer = self._begin(self._still_maker, config, params)
        started = self._started(answer)
        size = _number(answer.get("sizeInBytes"))
        return Still(
            render_id=started.render_id,
            bucket_name=started.bucket_name,
            output_key=_text(answer.get("outKey")) or None,
            output_file=_text(answer.get("output")),
            output_size_bytes=None if size is None else int(size),
            costs=_costs(answer.get("estimatedPrice")),
        )

    def progress(self, *, render_id: str, bucket_name: str) -> Progress:
        """Look once at a render's progress, with ordinary retries.

        Raises:
            ProgressUnknownError: Remotion couldn't be asked, or knows no such render.
        """
        request = self._client().construct_render_progress_request(render_id, bucket_name)
        try:
            answer = self._invoke(self._reader, request)
        except (BotoCoreError, ClientError, _AnswerError) as error:
            raise ProgressUnknownError(_word(error)) from None
        if answer.get("type") != "success":
            raise ProgressUnknownError("AnsweredWithError")
        return self._read_progress(answer)

    def cancel(self, *, render_id: str, bucket_name: str) -> bool:
        """Leave the object that a render's functions look for once a second; return whether that worked."""
        try:
            self._client().cancel_render_on_lambda(render_id, bucket_name)
        except (RemotionException, BotoCoreError, ClientError):
            return False
        return True

    def _client(self, serve_url: str = "unused") -> RemotionClient:
        # The constructor demands the address of a site even from those who start nothing.
        return RemotionClient(
            region=self._settings.region,
            serve_url=serve_url,
            function_name=self._settings.function_name,
            session=self._session,
            config=self._repeatable,
        )

    def _begin(
        self, client: Any, config: RenderConfig, params: RenderMediaParams | RenderStillParams
    ) -> dict[str, Any]:
        """Send a request that begins a render, and return the function's answer if it is a happy one."""
        request = self._request(config, params)
        try:
            answer = self._invoke(client, request)
        except ClientError as error:
            raise self._judge(error) from None
        except _NEVER_CONNECTED as error:
            raise NotStartedError(type(error).__name__) from None
        except _NEVER_SIGNED as error:
            raise _refused(str(error), code="access_denied") from None
        except (BotoCoreError, _AnswerError) as error:
            raise StartUnknownError(_word(error)) from None
        if answer.get("type") == "error":
            failure = self._failure(answer)
            if _tells_of_throttling(failure):
                raise NotStartedError("TooManyRequestsException")
            raise StartRefusedError(failure, code=None)
        return answer

    def _started(self, answer: Mapping[str, Any]) -> Started:
        render_id, bucket_name = answer.get("renderId"), answer.get("bucketName")
        if not (isinstance(render_id, str) and isinstance(bucket_name, str)):
            raise StartUnknownError("NoRenderId")
        return Started(render_id=render_id, bucket_name=bucket_name)

    def _request(self, config: RenderConfig, params: RenderMediaParams | RenderStillParams) -> str:
        props = json.dumps(config.input_props, separators=(",", ":"))
        if len(props) > _MAX_PROPS_BYTES or len(json.dumps(props)) > _MAX_LAUNCH_CHARS:
            raise _refused(
                f"The input props take {len(props)} bytes as JSON, which is more than Remotion takes: "
                "put large data at a URL and pass the URL.",
                code="props_too_large",
            )
        kind = "still" if isinstance(params, RenderStillParams) else "video-or-audio"
        try:
            request: str = self._client(config.serve_url).construct_render_request(params, kind)
        except RemotionException as error:
            raise _refused(str(error), code="start_refused") from None
        return request

    def _invoke(self, client: Any, request: str) -> dict[str, Any]:
        response = client.invoke(FunctionName=self._settings.function_name, Payload=request.encode())
        answer = _last_object(response["Payload"].read())
        if "FunctionError" in response or "errorMessage" in answer:
            raise _AnswerError("FunctionError")
        return answer

    def _judge(self, error: ClientError) -> NotStartedError | StartRefusedError | StartUnknownError:
        code = error.response.get("Error", {}).get("Code", "")
        message = error.response.get("Error", {}).get("Message", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.CONFLICT} or code in _THROTTLED:
            return NotStartedError(code)
        if not 400 <= status < 500 or status == HTTPStatus.REQUEST_TIMEOUT:
            return StartUnknownError(code)
        word = _REFUSALS.get(status, "start_refused")
        return _refused(self._clean(f"{code}: {message}", _MAX_MESSAGE_CHARS), code=word)

    def _read_progress(self, answer: Mapping[str, Any]) -> Progress:
        fraction = min(max(_number(answer.get("overallProgress")) or 0.0, 0.0), 1.0)
        costs = _costs(answer.get("costs"))
        if answer.get("done") is True:
            size = _number(answer.get("outputSizeInBytes"))
            return Progress(
                stage=Stage.DONE,
                fraction=1.0,
                costs=costs,
                output_key=_text(answer.get("outKey")) or None,
                output_file=_text(answer.get("outputFile")),
                output_size_bytes=None if size is None else int(size),
            )
        listed = answer.get("errors")
        errors = [error for error in listed if isinstance(error, dict)] if isinstance(listed, list) else []
        if answer.get("fatalErrorEncountered") is True:
            # Errors after which a chunk was tried again are listed too, and haven't failed the render. Nor
            # has the time-out that Remotion adds, once it is due, to a render that failed before.
            fatal = [
                error for error in errors if error.get("isFatal") is not False and not error.get("willRetry")
            ]
            causes = [
                error for error in fatal if not _text(error.get("message")).startswith(_TIMEOUT_MESSAGE)
            ]
            if fatal and not causes:
                return Progress(stage=Stage.TIMED_OUT, fraction=fraction, costs=costs)
            failures = tuple(self._failure(error) for error in (causes or errors)[:_MAX_ERRORS])
            return Progress(stage=Stage.FAILED, fraction=fraction, costs=costs, errors=failures)
        if answer.get("renderMetadata") is None and _is_overdue(answer):
            return Progress(stage=Stage.TIMED_OUT, fraction=fraction, costs=costs)
        return Progress(stage=Stage.RUNNING, fraction=fraction, costs=costs)

    def _failure(self, error: Mapping[str, Any]) -> RenderFailure:
        return RenderFailure(
            message=self._clean(_text(error.get("message")), _MAX_MESSAGE_CHARS),
            stack=self._clean(_text(error.get("stack")), _MAX_STACK_CHARS),
        )

    def _clean(self, text: str, length: int) -> str:
        # Some of Remotion's errors quote its whole request, which carries the secret.
        return text.replace(self._settings.webhook_secret, "[secret]")[:length]


def _never_repeated(read_timeout_s: float) -> Config:
    # A start that got no answer may have been carried out: repeating it would pay for a second render.
    return Config(
        connect_timeout=CONNECT_TIMEOUT_S, read_timeout=read_timeout_s, retries={"total_max_attempts": 1}
    )


class _AnswerError(Exception):
    """The function was run, and what came back is no answer."""


_REFUSALS: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "access_denied",
    HTTPStatus.FORBIDDEN: "access_denied",
    HTTPStatus.NOT_FOUND: "function_missing",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "props_too_large",
}


def _refused(message: str, *, code: str) -> StartRefusedError:
    return StartRefusedError(RenderFailure(message=message), code=code)


def _word(error: Exception) -> str:
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "ClientError"))
    return str(error) if isinstance(error, _AnswerError) else type(error).__name__


def _last_object(payload: bytes) -> dict[str, Any]:
    """Return the last of the JSON values in ``payload``; the function streams its answer."""
    decoder = json.JSONDecoder()
    try:
        text, value = payload.decode().strip(), None
        while text:
            value, end = decoder.raw_decode(text)
            text = text[end:].lstrip()
    except (ValueError, RecursionError):
        raise _AnswerError("UnreadableAnswer") from None
    if not isinstance(value, dict):
        raise _AnswerError("UnreadableAnswer")
    return value


def _tells_of_throttling(failure: RenderFailure) -> bool:
    text = f"{failure.message}\n{failure.stack}"
    return "Rate Exceeded" in text or any(code in text for code in _THROTTLED)


def _is_overdue(answer: Mapping[str, Any]) -> bool:
    """Tell whether the function's time is over, by its own clock.

    Remotion itself reports that only from when it knows the composition: a function that died before would be
    told as running for ever.
    """
    now_ms, limit_ms = _number(answer.get("currentTime")), _number(answer.get("timeoutTimestamp"))
    return now_ms is not None and limit_ms is not None and now_ms > limit_ms + _TIMEOUT_GRACE_MS


def _costs(value: object) -> RenderCosts | None:
    # In China Remotion counts in yuan.
    if not isinstance(value, dict) or value.get("currency") != "USD":
        return None
    amount = _number(value.get("accruedSoFar"))
    return None if amount is None else RenderCosts(amount_usd=amount)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None

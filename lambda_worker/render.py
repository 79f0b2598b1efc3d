"""The two steps of the worker. Each is short: none waits for a render to finish, unless it is a still's."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from lambda_worker import contract
from lambda_worker.callback import Callback
from lambda_worker.contract import (
    Action,
    Answer,
    PollMessage,
    RenderError,
    RenderProgress,
    RenderStarted,
    RenderSuccess,
    RenderThrottled,
    RenderTimeout,
    StartMessage,
    Webhook,
    WorkerUse,
)
from lambda_worker.remotion import (
    CONNECT_TIMEOUT_S,
    START_TIMEOUT_S,
    STILL_TIMEOUT_S,
    NotStartedError,
    Progress,
    ProgressUnknownError,
    Remotion,
    Stage,
    Started,
    StartRefusedError,
    StartUnknownError,
    Still,
)
from lambda_worker.telemetry import Metric, count, log

_REPORT_S: Final = 20
"""Kept for the first report: a render whose ``renderId`` nobody knows can be neither shown nor cancelled."""

_END_S: Final = 2
"""Kept for the end of the invocation itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One run of the Lambda function.

    Attributes:
        token: Lambda's request id, under which this run may claim an attempt.
        memory_mb: the function's memory.
        elapsed_s: how many seconds it has taken.
        remaining_s: how many seconds Lambda still gives it.
    """

    token: str
    memory_mb: int
    elapsed_s: Callable[[], float]
    remaining_s: Callable[[], float]

    def use(self) -> WorkerUse:
        """Return what it has used of Lambda by now."""
        return WorkerUse(ms=math.ceil(self.elapsed_s() * 1000), memory_mb=self.memory_mb)

    def time_left_s(self) -> float:
        """Return the seconds that may be spent on a webhook when nothing else follows."""
        return self.remaining_s() - _END_S

    def time_left_before_start_s(self) -> float:
        """Return the seconds that may be spent before a start, so that it can still be made and reported."""
        return self._time_left_before_s(START_TIMEOUT_S)

    def time_left_before_still_s(self) -> float:
        """Return the seconds that may be spent before a still, so that it can still be made and reported."""
        return self._time_left_before_s(STILL_TIMEOUT_S)

    def _time_left_before_s(self, request_s: float) -> float:
        return self.time_left_s() - CONNECT_TIMEOUT_S - request_s - _REPORT_S


def start(message: StartMessage, *, invocation: Invocation, remotion: Remotion, callback: Callback) -> None:
    """Claim the attempt, start its render once, and report the ``renderId``.

    Unless the API grants the claim in so many words, nothing is started: the API will send the message again.

    Raises:
        ContractError: the codec is unknown to this version; nothing was claimed.
    """
    config = message.render_config
    key = contract.output_key(
        export_id=message.export_id,
        attempt=message.attempt,
        codec=config.codec,
        audio_codec=config.audio_codec,
    )
    is_still = config.codec in contract.STILLS
    claim = RenderStarted(
        export_id=message.export_id, attempt=message.attempt, token=invocation.token, version=message.version
    )
    answer = callback.post(
        config.webhook_url,
        claim,
        time_left_s=invocation.time_left_before_still_s if is_still else invocation.time_left_before_start_s,
        on_unknown=Action.SKIP,
    )
    if answer is None or answer.action is not Action.RENDER:
        log.info("render.skipped", reached=answer is not None)
        return
    try:
        if is_still:
            begun: Started = remotion.still(config, output_key=key)
        else:
            begun = remotion.start(
                config, export_id=message.export_id, attempt=message.attempt, output_key=key
            )
    except StartUnknownError as error:
        # Neither "started" nor "not started" may be said: the claim runs out, or the render reports itself.
        log.error("render.start_unknown", reason=str(error))
        count(Metric.STARTS_UNKNOWN)
    except NotStartedError as error:
        log.warning("render.throttled", reason=str(error))
        count(Metric.RENDERS_THROTTLED)
        throttled = RenderThrottled(
            export_id=message.export_id, attempt=message.attempt, token=invocation.token, reason=str(error)
        )
        _post_last(throttled, config.webhook_url, invocation=invocation, callback=callback)
    except StartRefusedError as error:
        log.error("render.start_refused", code=error.code)
        count(Metric.STARTS_REFUSED)
        refused = RenderError(
            export_id=message.export_id,
            attempt=message.attempt,
            token=invocation.token,
            errors=(error.failure,),
            code=error.code,
            retryable=None if error.code is None else False,
        )
        _post_last(refused, config.webhook_url, invocation=invocation, callback=callback)
    else:
        log.info("render.started", render_id=begun.render_id)
        count(Metric.RENDERS_STARTED)
        if isinstance(begun, Still):
            _report_still(begun, message, invocation=invocation, callback=callback)
        else:
            _report(begun, message, invocation=invocation, remotion=remotion, callback=callback)


def _report(
    started: Started, message: StartMessage, *, invocation: Invocation, remotion: Remotion, callback: Callback
) -> None:
    """Make the ``renderId`` known, and cancel the render where the API no longer wants it.

    Only an answer cancels. Where there is none, the render goes on and tells its end by its own webhook.
    """
    first = RenderProgress(
        export_id=message.export_id,
        attempt=message.attempt,
        render_id=started.render_id,
        bucket_name=started.bucket_name,
        token=invocation.token,
    )
    answer = _post_last(
        first,
        message.render_config.webhook_url,
        invocation=invocation,
        callback=callback,
        on_unknown=Action.CANCEL,
    )
    if answer is not None and answer.action is Action.CANCEL:
        cancelled = remotion.cancel(render_id=started.render_id, bucket_name=started.bucket_name)
        log.info("render.cancelled" if cancelled else "render.cancel_failed", render_id=started.render_id)


def _report_still(still: Still, message: StartMessage, *, invocation: Invocation, callback: Callback) -> None:
    """Report the end of a still, of which Remotion sends no webhook of its own.

    Where the API can't be reached, it finds the file when the claim runs out.
    """
    success = RenderSuccess(
        export_id=message.export_id,
        attempt=message.attempt,
        render_id=still.render_id,
        bucket_name=still.bucket_name,
        output_key=still.output_key,
        output_file=still.output_file,
        output_size_bytes=still.output_size_bytes,
        costs=still.costs,
    )
    _post_last(success, message.render_config.webhook_url, invocation=invocation, callback=callback)


def poll(message: PollMessage, *, invocation: Invocation, remotion: Remotion, callback: Callback) -> None:
    """Look once at a render's progress, and post one webhook, or none where there is nothing to tell."""
    try:
        progress = remotion.progress(render_id=message.render_id, bucket_name=message.bucket_name)
    except ProgressUnknownError as error:
        # The API polls again, and knows when to give up.
        log.warning("poll.failed", render_id=message.render_id, reason=str(error))
        count(Metric.POLLS_FAILED)
        return
    log.info("poll.done", render_id=message.render_id, stage=progress.stage, progress=progress.fraction)
    _post_last(_webhook(message, progress), message.webhook_url, invocation=invocation, callback=callback)


def _post_last(
    webhook: Webhook,
    url: str,
    *,
    invocation: Invocation,
    callback: Callback,
    on_unknown: Action | None = None,
) -> Answer | None:
    """Send the last webhook of an invocation, which tells what the invocation has used."""
    webhook = replace(webhook, worker=invocation.use())
    return callback.post(url, webhook, time_left_s=invocation.time_left_s, on_unknown=on_unknown)


def _webhook(message: PollMessage, progress: Progress) -> Webhook:
    match progress.stage:
        case Stage.DONE:
            return RenderSuccess(
                export_id=message.export_id,
                attempt=message.attempt,
                render_id=message.render_id,
                bucket_name=message.bucket_name,
                output_key=progress.output_key
                or contract.output_key(
                    export_id=message.export_id,
                    attempt=message.attempt,
                    codec=message.codec,
                    audio_codec=message.audio_codec,
                ),
                output_file=progress.output_file,
                output_size_bytes=progress.output_size_bytes,
                costs=progress.costs,
            )
        case Stage.FAILED:
            return RenderError(
                export_id=message.export_id,
                attempt=message.attempt,
                render_id=message.render_id,
                bucket_name=message.bucket_name,
                errors=progress.errors,
                costs=progress.costs,
            )
        case Stage.TIMED_OUT:
            return RenderTimeout(
                export_id=message.export_id,
                attempt=message.attempt,
                render_id=message.render_id,
                bucket_name=message.bucket_name,
                costs=progress.costs,
            )
        case Stage.RUNNING:
            return RenderProgress(
                export_id=message.export_id,
                attempt=message.attempt,
                render_id=message.render_id,
                bucket_name=message.bucket_name,
                progress=progress.fraction,
                costs=progress.costs,
            )

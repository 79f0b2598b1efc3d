"""From the configuration of a render to what Remotion's client makes a request of.

What wasn't asked for is left to the client, whose defaults are Remotion's own.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from remotion_lambda import (
    LogLevel,
    OutNameInputObject,
    Privacy,
    RenderMediaParams,
    RenderStillParams,
    Webhook,
)
from remotion_lambda.models import PlayInBrowser, ShouldDownload

from lambda_worker.contract import CustomData, DownloadBehavior, RenderConfig, RenderOptions

_DOWNLOAD: Final = "download"

_FORCED: Final[Mapping[str, str]] = {
    name: f"force_{name}" for name in ("fps", "width", "height", "duration_in_frames")
}

_STILL_FIELDS: Final = frozenset(each.name for each in fields(RenderStillParams))


def media_params(
    config: RenderConfig, *, bucket: str, output_key: str, secret: str, custom_data: CustomData
) -> RenderMediaParams:
    """Return the parameters of a video or of audio. The client writes into them, so each start needs its own.

    Args:
        config: what to render.
        bucket: where Remotion keeps its own files, and where the output goes.
        output_key: the output's key.
        secret: what Remotion signs its webhooks with.
        custom_data: what Remotion sends back with its webhooks.
    """
    return RenderMediaParams(
        composition=config.composition_id,
        input_props=config.input_props,
        codec=config.codec,
        bucket_name=bucket,
        out_name=OutNameInputObject(bucketName=bucket, key=output_key),
        privacy=Privacy.PRIVATE,
        # The key belongs to this attempt, which is started once. A file there means that Lambda has run
        # Remotion's queued launch twice; without overwriting, the twin would report a failure.
        overwrite=True,
        enable_cancellation=True,
        # At "info", Remotion's function logs the input props.
        log_level=LogLevel.WARN,
        webhook=Webhook(
            url=config.webhook_url,
            secret=secret,
            # ASCII, as an id is: Remotion never gets a body with other characters through.
            customData=custom_data.dump(),
        ),
        **_options(config.render_options),
    )


def still_params(config: RenderConfig, *, bucket: str, output_key: str) -> RenderStillParams:
    """Return the parameters of a still. The client writes into them, so each still needs its own.

    Args:
        config: what to render.
        bucket: where Remotion keeps its own files, and where the output goes.
        output_key: the output's key.
    """
    options = _options(config.render_options)
    return RenderStillParams(
        composition=config.composition_id,
        input_props=config.input_props,
        image_format=config.codec,
        frame=config.frame or 0,
        force_bucket_name=bucket,
        out_name=OutNameInputObject(bucketName=bucket, key=output_key),
        privacy=Privacy.PRIVATE,
        log_level=LogLevel.WARN,
        **{name: value for name, value in options.items() if name in _STILL_FIELDS},
    )


def _options(options: RenderOptions | None) -> dict[str, Any]:
    if options is None:
        return {}
    values = {each.name: getattr(options, each.name) for each in fields(options)}
    given = {_FORCED.get(name, name): value for name, value in values.items() if value is not None}
    if options.download_behavior is not None:
        given["download_behavior"] = _download_behavior(options.download_behavior)
    return given


def _download_behavior(behavior: DownloadBehavior) -> PlayInBrowser | ShouldDownload:
    if behavior.type == _DOWNLOAD:
        return ShouldDownload(type=_DOWNLOAD, fileName=behavior.file_name)
    return PlayInBrowser(type="play-in-browser")

"""The renders at Remotion: what the API itself may do with one."""

import json
from datetime import datetime
from typing import Final

import structlog
from botocore.exceptions import BotoCoreError, ClientError

from renderhub import aws

log = structlog.get_logger(__name__)

# What Remotion's own clients write; since 4.0.515 the functions of a render that was started with
# enableCancellation look for it once a second.
_CANCEL_KEY: Final = "renders/{render_id}/cancel.json"


def cancel(*, bucket_name: str, render_id: str, now: datetime) -> bool:
    """Ask a render's functions to stop, and tell whether the request could be left for them.

    A render that has ended takes no notice of it.
    """
    try:
        aws.s3().put_object(
            Bucket=bucket_name,
            Key=_CANCEL_KEY.format(render_id=render_id),
            Body=json.dumps({"cancelledAt": int(now.timestamp() * 1000)}),
            ContentType="application/json",
        )
    except (BotoCoreError, ClientError) as error:
        log.warning("render.cancel_failed", render_id=render_id, error=str(error))
        return False
    log.info("render.cancelled", render_id=render_id)
    return True

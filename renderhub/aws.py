"""boto3's clients, one of each for the process.

Each service follows boto3's own ``AWS_ENDPOINT_URL[_SERVICE]``, so the embedded AWS of one machine needs no
code here.
"""

import threading
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from django.conf import settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

# Clients may be shared between threads; the making of one may not.
_making = threading.Lock()

_CONFIG = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=32,
)


@cache
def sqs() -> "SQSClient":
    """Return the client for Amazon SQS."""
    with _making:
        return boto3.session.Session(region_name=settings.AWS_REGION).client("sqs", config=_CONFIG)


@cache
def s3(endpoint_url: str | None = None, *, signed: bool = True) -> "S3Client":
    """Return the client for Amazon S3.

    Args:
        endpoint_url: where browsers reach it, if that is another address than this process's.
        signed: whether what it makes is signed.
    """
    config = _CONFIG.merge(Config(signature_version="s3v4" if signed else UNSIGNED))
    with _making:
        session = boto3.session.Session(region_name=settings.AWS_REGION)
        client = session.client("s3", config=config, endpoint_url=endpoint_url)
        if client.meta.endpoint_url.endswith((".amazonaws.com", ".amazonaws.com.cn")):
            # Otherwise addresses that are handed out name us-east-1's host, which redirects a new bucket's
            # readers to its region's: their signature fails there.
            regional = config.merge(Config(s3={"addressing_style": "virtual"}))
            client = session.client("s3", config=regional, endpoint_url=endpoint_url)
        return client

"""The finished files: looking for one, and handing out addresses that open it for a while."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from http import HTTPStatus
from urllib.parse import urlsplit

from botocore.exceptions import ClientError
from django.conf import settings

from renderhub import aws


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputUrl:
    """A presigned address of a file.

    Attributes:
        url: the address; whoever has it can read the file.
        expires_at: when it stops working.
    """

    url: str
    expires_at: datetime


def presign(*, bucket_name: str, key: str, now: datetime) -> OutputUrl:
    """Make an address that opens the file for ``OUTPUT_URL_TTL_S`` seconds, without a request."""
    client = aws.s3(settings.S3_PUBLIC_ENDPOINT_URL or None)
    url = client.generate_presigned_url(
        "get_object", Params={"Bucket": bucket_name, "Key": key}, ExpiresIn=settings.OUTPUT_URL_TTL_S
    )
    return OutputUrl(url=url, expires_at=now + timedelta(seconds=settings.OUTPUT_URL_TTL_S))


def public_origin() -> str:
    """Return the origin of the presigned addresses, for a page's policy; empty where there is no bucket."""
    return _origin(settings.S3_PUBLIC_ENDPOINT_URL, settings.REMOTION_BUCKET)


@cache
def _origin(endpoint_url: str, bucket_name: str) -> str:
    if not bucket_name:
        return ""
    # Whether the bucket's name is part of the host depends on the endpoint and on the name: boto3 decides.
    url = aws.s3(endpoint_url or None).generate_presigned_url(
        "get_object", Params={"Bucket": bucket_name, "Key": "any"}
    )
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def delete_output(*, bucket_name: str, key: str) -> None:
    """Delete a file; one that isn't there is no error.

    Raises:
        ClientError, BotoCoreError: S3 refused, or can't be asked.
    """
    aws.s3().delete_object(Bucket=bucket_name, Key=key)


def find_output(key: str) -> int | None:
    """Return the size in bytes of a file in the deployment's bucket, ``None`` where there is none.

    Raises:
        ClientError, BotoCoreError: S3 can't be asked.
    """
    try:
        return aws.s3().head_object(Bucket=settings.REMOTION_BUCKET, Key=key)["ContentLength"]
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == HTTPStatus.NOT_FOUND:
            return None
        raise

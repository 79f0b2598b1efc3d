"""The finished files: looking for one, and handing out addresses that open it for a while."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from botocore.exceptions import ClientError
from django.conf import settings

from renderhub import aws

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputUrls:
    """The addresses of a file.

    Attributes:
        url: opens it in the browser. Whoever has it can read the file.
        download_url: saves it under a name of its own.
        expires_at: when they stop working; ``None``: never.
    """

    url: str
    download_url: str
    expires_at: datetime | None


def output_urls(
    *, bucket_name: str, key: str, file_name: str, is_download: bool = False, now: datetime
) -> OutputUrls:
    """Return addresses that open the file for ``OUTPUT_URL_TTL_S`` seconds, made without a request.

    With ``OUTPUT_PUBLIC`` they are plain, and the file's own: S3 lets none but signed ones say how it is to
    be saved.

    Args:
        bucket_name: where the file lies.
        key: what it is called there.
        file_name: what it is called where it is saved; any text.
        is_download: whether the one that opens it saves it too, because that was asked for.
        now: the present moment.
    """
    at = {"Bucket": bucket_name, "Key": key}
    if settings.OUTPUT_PUBLIC:
        url = _client().generate_presigned_url("get_object", Params=at)
        return OutputUrls(url=url, download_url=url, expires_at=None)
    url, download_url = (
        _client().generate_presigned_url(
            "get_object",
            Params={**at, "ResponseContentDisposition": _disposition(kind, file_name)},
            ExpiresIn=settings.OUTPUT_URL_TTL_S,
        )
        for kind in ("attachment" if is_download else "inline", "attachment")
    )
    expires_at = now + timedelta(seconds=settings.OUTPUT_URL_TTL_S)
    return OutputUrls(url=url, download_url=download_url, expires_at=expires_at)


def _client() -> "S3Client":
    return aws.s3(settings.S3_PUBLIC_ENDPOINT_URL or None, signed=not settings.OUTPUT_PUBLIC)


def file_name_of(title: str, extension: str) -> str:
    """Return a name that every system can save a file under: of the title, as far as it has one."""
    # No control or format characters, which can hide or turn round what follows, and no path.
    hidden = {each for each in title if each in _NO_NAME or unicodedata.category(each)[0] in "CZ"}
    shown = title.translate(dict.fromkeys(map(ord, hidden), " "))
    stem = " ".join(shown.split()).lstrip(". ")
    stem = stem.encode()[:_MOST_NAME_BYTES].decode(errors="ignore").rstrip(". ")
    return f"{stem or 'export'}.{extension}"


_NO_NAME: Final = frozenset('/\\:*?"<>|')
_MOST_NAME_BYTES: Final = 150


def _disposition(kind: str, file_name: str) -> str:
    """Return a Content-Disposition (RFC 6266), with a name for those who read no other than ASCII."""
    plain = unicodedata.normalize("NFKD", file_name).encode("ascii", "ignore").decode().replace("%", "_")
    if plain == file_name:
        return f'{kind}; filename="{plain}"'
    if plain.startswith("."):
        plain = f"export{plain}"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"


def public_origin() -> str:
    """Return the origin of the files' addresses, for a page's policy; empty where there is no bucket."""
    return _origin(_client(), settings.REMOTION_BUCKET)


@cache
def _origin(client: "S3Client", bucket_name: str) -> str:
    if not bucket_name:
        return ""
    # Whether the bucket's name is part of the host depends on the endpoint and on the name: boto3 decides.
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket_name, "Key": "any"})
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

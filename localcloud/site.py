"""Putting the bundled Remotion site where Remotion's browser can load it."""

import hashlib
import mimetypes
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from botocore.exceptions import ClientError

from localcloud.errors import LocalCloudError
from localcloud.ministack import MiniStack

_ENTRY: Final = "index.html"
_UPLOADS_AT_A_TIME: Final = 4


def upload_site(account: MiniStack, *, bucket: str, site: Path) -> str:
    """Return the address of the bundle in ``site``, uploaded if it isn't there yet.

    Its folder is named after its content: a render that has begun keeps the site that it began with.

    Raises:
        LocalCloudError: there is no bundle.
    """
    if not (site / _ENTRY).exists():
        raise LocalCloudError(f"the sample site isn't bundled: {site} is missing; run make install")
    files = sorted(path for path in site.rglob("*") if path.is_file())
    prefix = f"sites/{_digest(site, files)}"
    entry = f"{prefix}/{_ENTRY}"
    s3 = account.client("s3")

    def upload(path: Path) -> None:
        content_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        key = f"{prefix}/{path.relative_to(site).as_posix()}"
        s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes(), ContentType=content_type)

    try:
        s3.head_object(Bucket=bucket, Key=entry)
    except ClientError:
        with ThreadPoolExecutor(_UPLOADS_AT_A_TIME) as pool:
            list(pool.map(upload, (path for path in files if path != site / _ENTRY)))
        # Last, so that it says that all the others are there.
        upload(site / _ENTRY)
    return f"{account.endpoint}/{bucket}/{entry}"


def _digest(site: Path, files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(site).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]

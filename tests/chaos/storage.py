"""The files of the stand-in renderer, in MiniStack's S3."""

from typing import Final

from tests.chaos import wire

# MiniStack's root needs no secret, so that no request has to be signed.
ROOT: Final = {
    "authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
}


class Storage:
    """S3 with the rights of the account's root."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def put(self, bucket: str, key: str, body: bytes) -> None:
        """Write an object."""
        answer = await wire.fetch(self._port, "PUT", f"/{bucket}/{key}", headers=ROOT, body=body)
        assert answer.status == 200, answer

    async def exists(self, bucket: str, key: str) -> bool:
        """Tell whether there is such an object."""
        answer = await wire.fetch(self._port, "HEAD", f"/{bucket}/{key}", headers=ROOT)
        assert answer.status in (200, 404), answer
        return answer.status == 200

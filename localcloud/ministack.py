"""MiniStack, the AWS that runs as one process on this machine."""

import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import boto3
from botocore.config import Config

from localcloud.errors import LocalCloudError
from localcloud.paths import MINISTACK
from localcloud.ports import HOST
from localcloud.processes import Process, stop

REGION: Final = "us-east-1"

_ROOT_CREDENTIAL: Final = "test"
"""MiniStack's root needs no secret: it never checks a root key's signature."""

_SERVICES: Final = ("cloudformation", "iam", "lambda", "logs", "s3", "sqs", "sts")
"""What the template and its users need."""


def last_port(state: Path) -> int | None:
    """Return where the MiniStack that keeps its things in ``state`` has last listened, if it has run."""
    try:
        return int(_port_file(state).read_text())
    except (FileNotFoundError, ValueError):
        return None


def _port_file(state: Path) -> Path:
    return state / "port"


class MiniStack:
    """An AWS account on this machine, with what it holds kept in a folder."""

    def __init__(
        self,
        *,
        port: int,
        state: Path,
        log: Path,
        environment: Mapping[str, str],
        on_exit: Callable[[Process], None] = lambda process: None,
    ) -> None:
        """Describe the account.

        Args:
            port: where it listens.
            state: the folder for queues, objects and all else.
            log: the file for its output, which has the output of its Lambda functions too.
            environment: further variables, which its Lambda functions inherit.
            on_exit: called once it has ended, for whatever reason.
        """
        self.endpoint = f"http://{HOST}:{port}"
        self._port = port
        self._records = state / "state"
        self._temporary = state / "tmp"
        settings = {
            "GATEWAY_PORT": str(port),
            "BIND_HOST": HOST,
            "MINISTACK_HOST": HOST,
            "MINISTACK_REGION": REGION,
            "SERVICES": ",".join(_SERVICES),
            "AUTH": "true",
            "PERSIST_STATE": "1",
            "S3_PERSIST": "1",
            "STATE_DIR": str(self._records),
            "S3_DATA_DIR": str(state / "s3"),
            # Two listeners that it would open on every address.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "TMPDIR": str(self._temporary),
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._temporary),
            "LANG": "C.UTF-8",
        }
        self.process = Process(
            "MiniStack",
            [MINISTACK],
            environment={**settings, **environment},
            log=log,
            ready=r"Running on http",
            on_exit=on_exit,
        )

    def start(self) -> None:
        """Start it without waiting for it to be ready."""
        if not MINISTACK.exists():
            raise LocalCloudError("MiniStack isn't installed: run make install")
        # A killed MiniStack leaves the code of its Lambda functions here.
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir(parents=True)
        self._move_records()
        self.process.start()

    def wait_until_ready(self) -> None:
        """Return once it answers."""
        self.process.wait_until_ready(timeout_s=60)

    def _move_records(self) -> None:
        """Let the records of a run at another port name this one: all such addresses are MiniStack's own.

        MiniStack knows its queues by address, and would poll none for Lambda that has the old one.
        """
        address = re.compile(rf"{re.escape(HOST)}:\d+/")
        for path in self._records.glob("*.json"):
            text = path.read_text()
            moved = address.sub(f"{HOST}:{self._port}/", text)
            if moved != text:
                path.write_text(moved)
        _port_file(self._records.parent).write_text(str(self._port))

    def client(self, service: str) -> Any:
        """Return a boto3 client for ``service`` with the root user's rights."""
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=_ROOT_CREDENTIAL,
            aws_secret_access_key=_ROOT_CREDENTIAL,
            config=Config(signature_version="s3v4") if service == "s3" else None,
        )

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_until_ready()
        except BaseException:
            stop([self.process])
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop([self.process])

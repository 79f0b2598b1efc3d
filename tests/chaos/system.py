"""The system under test: MiniStack with the real stack in it, the API's process and the sweeper's."""

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from infra.package_worker import package
from localcloud import ports
from localcloud.ministack import MiniStack
from localcloud.processes import Process, kill_marked, stop
from localcloud.stack import Stack, deploy
from localcloud.users import create_web_user

MARK: Final = "RENDERHUB_CHAOS"

_READY_S: Final = 60
_GONE_S: Final = 5


class System:
    """Everything that runs beside this process.

    Args:
        folder: for its files and logs.
        database: the environment that reaches its database.
        renderer_port: where the stand-in for Remotion's function listens.
        visibility_s: how long SQS hides a message that a worker has taken.
        workers: how many messages are worked on at a time, each in a Python process of its own.
        broken: the rule that is left out, if any.
    """

    def __init__(
        self,
        *,
        folder: Path,
        database: Mapping[str, str],
        renderer_port: int,
        visibility_s: int,
        workers: int,
        broken: str | None,
    ) -> None:
        self.mark = secrets.token_hex(8)
        self.api_port = ports.choose_port(0)
        self.secrets = {"SECRET_KEY": secrets.token_urlsafe(48), "WEBHOOK_SECRETS": secrets.token_urlsafe(32)}
        self._folder = folder
        self._database = database
        self._visibility_s = visibility_s
        self._workers = workers
        self._broken = broken
        self._cloud_port = ports.choose_port(0)
        self.account = MiniStack(
            port=self._cloud_port,
            state=folder / "aws",
            log=folder / "ministack.log",
            environment={MARK: self.mark, "AWS_ENDPOINT_URL_LAMBDA": f"http://{ports.HOST}:{renderer_port}"},
        )
        self._running = ExitStack()
        self._environment: dict[str, str] = {}
        self._api: Process | None = None
        self._sweepers: list[Process] = []
        self._begun = 0

    @property
    def cloud_port(self) -> int:
        """Where MiniStack listens."""
        return self._cloud_port

    @property
    def stack(self) -> Stack:
        """What is deployed."""
        return self._stack

    def start_cloud(self) -> None:
        """Start MiniStack and deploy the stack to it, with the shortened visibility time-out."""
        worker = package()
        self._running.callback(lambda: stop([self.account.process]))
        self.account.start()
        self.account.wait_until_ready()
        self._stack = deploy(
            self.account,
            worker=worker,
            webhook_secrets=self.secrets["WEBHOOK_SECRETS"],
            web_origins=[f"http://{ports.HOST}:{self.api_port}"],
        )
        self.account.client("sqs").set_queue_attributes(
            QueueUrl=self._stack.queue_url, Attributes={"VisibilityTimeout": str(self._visibility_s)}
        )
        functions = self.account.client("lambda")
        (mapping,) = functions.list_event_source_mappings()["EventSourceMappings"]
        functions.update_event_source_mapping(
            UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": self._workers}
        )

    def environment(
        self, *, queue_port: int, webhook_port: int, settings: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the environment of the API and the sweeper, those of this shell's AWS account left out."""
        shell = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {
            **shell,
            **self.secrets,
            **create_web_user(self.account, self._stack),
            MARK: self.mark,
            "DJANGO_SETTINGS_MODULE": "renderhub.settings",
            **self._database,
            "DEBUG": "0",
            "API_BASE_URL": f"http://{ports.HOST}:{webhook_port}",
            "AWS_ENDPOINT_URL": self.account.endpoint,
            "AWS_ENDPOINT_URL_SQS": f"http://{ports.HOST}:{queue_port}",
            "REMOTION_SQS_QUEUE_URL": self._stack.queue_url,
            "REMOTION_SQS_DLQ_URL": self._stack.dead_letter_queue_url,
            "REMOTION_BUCKET": self._stack.bucket,
            "REMOTION_SERVE_URL": "https://site.example/index.html",
            "EMAIL_URL": f"file://{self._folder / 'mails'}",
            **settings,
            **({"CHAOS_BREAK": self._broken} if self._broken else {}),
        }

    async def start(self, environment: Mapping[str, str]) -> None:
        """Start the API and the sweeper."""
        self._environment = dict(environment)
        await self.start_api()
        await self.start_sweeper()

    async def start_api(self) -> None:
        """Start the API, as in production: under WSGI, with no sweeper inside."""
        module = "tests.chaos.broken" if self._broken else "renderhub.wsgi"
        command = [
            *(sys.executable, "-m", "granian", "--interface", "wsgi", "--blocking-threads", "4"),
            *("--host", ports.HOST, "--port", str(self.api_port), "--no-ws", f"{module}:application"),
        ]
        self._api = self._process("api", command, ready=r"Started worker")
        await asyncio.to_thread(self._api.wait_until_ready, _READY_S)
        assert await asyncio.to_thread(ports.wait_until_listening, self.api_port, timeout_s=_READY_S)

    async def start_sweeper(self) -> None:
        """Start one sweeper more."""
        module = ["-m", "tests.chaos.broken"] if self._broken else ["manage.py", "run_sweeper"]
        sweeper = self._process("sweeper", [sys.executable, *module], ready=r"sweeper\.started")
        self._sweepers.append(sweeper)
        await asyncio.to_thread(sweeper.wait_until_ready, _READY_S)

    async def stop_api(self) -> None:
        """End the API as a deployment does."""
        assert self._api is not None
        await asyncio.to_thread(stop, [self._api])

    async def kill_api(self) -> None:
        """End the API, with all its processes, as a power cut does."""
        assert self._api is not None
        await _kill(self._api)

    async def kill_sweeper(self) -> None:
        """End the sweeper as a power cut does."""
        await _kill(self._sweepers.pop())

    def messages(self) -> dict[str, int]:
        """Return how many messages are in the queue and in the dead-letter queue, in flight or not."""
        sqs = self.account.client("sqs")
        names = [f"ApproximateNumberOfMessages{state}" for state in ("", "NotVisible", "Delayed")]

        def count(url: str) -> int:
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            return sum(int(found[name]) for name in names)

        return {
            "queue": count(self._stack.queue_url),
            "dead letters": count(self._stack.dead_letter_queue_url),
        }

    def outputs(self) -> set[str]:
        """Return the keys of all files that renders have left."""
        pages = self.account.client("s3").get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self._stack.bucket, Prefix="renders/export-")
        return {each["Key"] for page in found for each in page.get("Contents", ())}

    def stop(self) -> list[str]:
        """End everything, and return the commands of the processes that were left behind."""
        stop([process for process in (self._api, *self._sweepers) if process is not None])
        self._running.close()
        # What was killed takes a moment to go.
        deadline = time.monotonic() + _GONE_S
        while (left := _marked(self.mark)) and time.monotonic() < deadline:
            time.sleep(0.1)
        kill_marked(MARK, self.mark)
        return left

    def _process(self, name: str, command: list[str], *, ready: str) -> Process:
        self._begun += 1
        process = Process(
            name,
            command,
            environment=self._environment,
            log=self._folder / f"{name}-{self._begun}.log",
            ready=ready,
        )
        process.start()
        return process


async def _kill(process: Process) -> None:
    assert process.pid is not None
    os.killpg(process.pid, signal.SIGKILL)
    await asyncio.to_thread(process.join, 5)


def _marked(value: str) -> list[str]:
    entry = f"{MARK}={value}".encode()
    found: list[str] = []
    for folder in Path("/proc").glob("[0-9]*"):
        # One that has ended in the meantime, or belongs to someone else, can't be read.
        with contextlib.suppress(OSError):
            variables = (folder / "environ").read_bytes().split(b"\0")
            if entry in variables and int(folder.name) != os.getpid():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found

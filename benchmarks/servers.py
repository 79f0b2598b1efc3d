"""What each server costs, measured side by side: ``python -m benchmarks.servers``.

It needs ``benchmarks/requirements.txt`` in the virtual environment, and the programs ``wrk`` and
``redis-server``.

Each round starts each server in turn, with one worker process, on a fresh copy of the same database, and
measures the processor time of the server itself (its process and its children), which depends less than
requests per second do on what else runs on the machine.

* Requests, over 8 connections that are kept: the status of a completed export, with a presigned address; the
  history (20 of 40 exports); a new export, which takes its place in the line, since its user's share of the
  slots is soon taken. ``DEBUG`` is off, the database is SQLite, SQS that of a MiniStack, and moves are pushed
  through Redis, as in production.
* Sockets, of the ASGI servers: opening 500, holding them idle, and passing messages on to all of them. The
  channel layer is that of one machine, in memory. The messages are the progress of one export, reported by
  signed webhooks, whose time is part of the figures.
"""

import argparse
import asyncio
import json
import logging
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from benchmarks.usage import OtherProcesses, cpu_seconds, memory_bytes
from lambda_worker import contract, signing
from lambda_worker.contract import RenderProgress, RenderStarted, RenderSuccess, Webhook
from localcloud.errors import LocalCloudError
from localcloud.ministack import REGION, MiniStack
from localcloud.paths import BUILD, ROOT
from localcloud.ports import HOST, bypass_proxies, choose_port, wait_until_listening
from localcloud.processes import Process, stop

RESULT: Final = BUILD / "bench-servers.json"

SECRET: Final = "of-the-benchmark-alone"  # noqa: S105
WEBHOOK: Final = "/api/exports/webhook"
RUNNING: Final = "running"
"""The id of the one render that goes on."""

EXPORTS: Final = 40
CONNECTIONS: Final = 8
SOCKETS: Final = 500
PUSHES: Final = 20

# The keep-alive pings of the servers come every 20 s.
_IDLE_S: Final = 25
_READY_S: Final = 30

# What a measured figure is called, and its unit.
Figures = dict[str, float]

HANDSHAKES: Final = "CPU-seconds for 1,000 handshakes"
IDLE_MEMORY: Final = "KiB for one idle socket"
IDLE_CPU: Final = f"CPU-ms a second while {SOCKETS} are idle"
MESSAGES: Final = "CPU-seconds for 1,000 messages"
OTHERS: Final = "processors busy with something else"
MEMORY: Final = "MiB after the start"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A way to serve the project with one worker process, ``{port}`` standing for the port."""

    name: str
    arguments: str
    sockets: bool = False

    def command(self, port: int) -> list[str | Path]:
        """Return the program and its arguments."""
        return [sys.executable, "-m", *self.arguments.format(host=HOST, port=port).split()]


SERVERS: Final = (
    Server(
        name="granian WSGI",
        arguments="granian --interface wsgi --workers 1 --blocking-threads 4 --host {host} --port {port} "
        "renderhub.wsgi:application",
    ),
    Server(
        name="gunicorn WSGI (gthread)",
        arguments="gunicorn --workers 1 --worker-class gthread --threads 4 --bind {host}:{port} "
        "renderhub.wsgi:application",
    ),
    Server(
        name="granian ASGI",
        arguments="granian --interface asgi --loop asyncio --workers 1 --host {host} --port {port} "
        "renderhub.asgi:application",
        sockets=True,
    ),
    Server(
        name="granian ASGI, uvloop",
        arguments="granian --interface asgi --loop uvloop --workers 1 --host {host} --port {port} "
        "renderhub.asgi:application",
        sockets=True,
    ),
    Server(
        name="uvicorn ASGI (uvloop, httptools)",
        arguments="uvicorn --loop uvloop --http httptools --no-access-log --workers 1 --host {host} "
        "--port {port} renderhub.asgi:application",
        sockets=True,
    ),
)


@contextmanager
def run_server(server: Server, *, environment: Mapping[str, str], folder: Path) -> Iterator[tuple[int, str]]:
    """Run a server; yield its process id and address.

    Args:
        server: how to serve.
        environment: all of its environment.
        folder: for its log.

    Raises:
        LocalCloudError: it doesn't start.
    """
    port = choose_port(0)
    process = Process(
        server.name,
        server.command(port),
        environment=environment,
        log=folder / "server.log",
        ready=r"Started worker|Booting worker|Uvicorn running",
    )
    process.start()
    try:
        process.wait_until_ready(_READY_S)
        if not wait_until_listening(port, timeout_s=_READY_S) or process.pid is None:
            raise LocalCloudError(process.describe_failure("does not listen"))
        yield process.pid, f"http://{HOST}:{port}"
    finally:
        stop([process])


class Bench:
    """What all servers share: the environment, a prepared database, and what stands around it.

    Attributes:
        folder: for what lasts as long as the run.
        environment: that of the servers, without their database.
        user: whose exports they are.
        project_id: what is exported.
        completed_id: an export that has ended.
        running_id: an export that is being rendered, as :data:`RUNNING`.
    """

    def __init__(self, folder: Path, *, aws: str, queue_url: str, redis_url: str) -> None:
        """Prepare the database, through the views themselves.

        Args:
            folder: an empty folder.
            aws: where the AWS is.
            queue_url: its queue.
            redis_url: where Redis is.
        """
        self.folder = folder
        self._database = folder / "prepared.sqlite3"
        self._redis_url = redis_url
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "DJANGO_SETTINGS_MODULE": "renderhub.settings",
            "DEBUG": "0",
            "SECRET_KEY": SECRET * 3,
            "WEBHOOK_SECRETS": SECRET,
            "API_BASE_URL": "http://localhost",
            "ALLOWED_HOSTS": HOST,
            "EMAIL_URL": "console:",
            "AWS_ENDPOINT_URL": aws,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            # One user asks as often as the server can answer.
            "LIMIT_READS": "100000000/m",
            "LIMIT_EXPORTS": "100000000/m",
            "MAX_PENDING_PER_USER": "100000000",
            "REMOTION_SQS_QUEUE_URL": queue_url,
            # Nothing here reads or writes it, but it must be set.
            "REMOTION_SQS_DLQ_URL": f"{queue_url}-dlq",
            "REMOTION_BUCKET": "bench",
            "REMOTION_SERVE_URL": f"{aws}/bench/sites/main/index.html",
        }
        os.environ.update(self.environment, DATABASE_URL=f"sqlite:///{self._database}")
        self._prepare()

    @contextmanager
    def running(self, server: Server, *, redis: bool) -> Iterator[tuple[int, str]]:
        """Run a server on a fresh copy of the database; yield its process id and address.

        Raises:
            LocalCloudError: it doesn't start.
        """
        database = self.folder / "db.sqlite3"
        for suffix in ("", "-wal", "-shm"):
            Path(f"{database}{suffix}").unlink(missing_ok=True)
        shutil.copy(self._database, database)
        more = {"DATABASE_URL": f"sqlite:///{database}", "REDIS_URL": self._redis_url if redis else ""}
        with run_server(server, environment={**self.environment, **more}, folder=self.folder) as running:
            yield running

    def token(self) -> str:
        """Return a new access token of the user."""
        from rest_framework_simplejwt.tokens import AccessToken

        return str(AccessToken.for_user(self.user))

    def _prepare(self) -> None:
        import django

        django.setup()
        from django.contrib.auth.models import User
        from django.core.management import call_command
        from django.db import connections
        from django.test import Client

        logging.disable(logging.INFO)
        call_command("migrate", verbosity=0)
        self.user = User.objects.create_user("bench")
        client = Client(SERVER_NAME=HOST, headers={"Authorization": f"Bearer {self.token()}"})

        def post(path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Any:
            answer = client.post(path, body, content_type="application/json", headers=headers)
            if answer.status_code >= HTTPStatus.MULTIPLE_CHOICES:
                raise LocalCloudError(f"{path} was answered by {answer.status_code}: {answer.content!r}")
            return answer.json()

        def report(webhook: Webhook) -> None:
            body, headers = signed(webhook)
            post(WEBHOOK, body, headers)

        def start_export(render_id: str | None = None) -> str:
            export_id = str(post(f"/api/exports/projects/{self.project_id}/export", b"{}")["exportId"])
            version = client.get(f"/api/exports/{export_id}/status").json()["version"]
            report(RenderStarted(export_id=export_id, attempt=1, token="t", version=version))  # noqa: S106
            report(progress_of(export_id, render_id or export_id, 0.0, token="t"))  # noqa: S106
            return export_id

        project = {"title": "Bench", "compositionId": "MainComposition", "inputProps": {"title": "Bench"}}
        self.project_id = post("/api/projects", json.dumps(project).encode())["projectId"]
        for _ in range(EXPORTS - 1):
            self.completed_id = start_export()
            report(
                RenderSuccess(
                    export_id=self.completed_id,
                    attempt=1,
                    render_id=self.completed_id,
                    bucket_name="bench",
                    output_file="",
                    output_key=contract.output_key(export_id=self.completed_id, attempt=1, codec="h264"),
                    output_size_bytes=400_000,
                )
            )
        self.running_id = start_export(RUNNING)
        # The last one to close has SQLite put everything into the one file that is copied.
        connections.close_all()


def progress_of(export_id: str, render_id: str, progress: float, token: str | None = None) -> RenderProgress:
    """Return the worker's report of a render's progress."""
    return RenderProgress(
        export_id=export_id,
        attempt=1,
        render_id=render_id,
        bucket_name="bench",
        progress=progress,
        token=token,
    )


def signed(webhook: Webhook) -> tuple[bytes, dict[str, str]]:
    """Return the body and headers with which the worker would send a webhook now."""
    body = contract.dump_webhook(webhook, id=str(uuid.uuid4()), timestamp=time.time())
    return body, {signing.HEADER: signing.sign(body, secret=SECRET), "Content-Type": "application/json"}


# --- Requests -----------------------------------------------------------------------------------------------


def measure_requests(bench: Bench, server: Server, *, seconds: float) -> Figures:
    """Return what each kind of request costs a server.

    Raises:
        LocalCloudError: the server failed, or a request did.
    """
    figures: Figures = {}
    script = bench.folder / "post.lua"
    script.write_text(
        'wrk.method, wrk.body = "POST", "{}"\nwrk.headers["Content-Type"] = "application/json"\n'
    )
    loads: Mapping[str, tuple[str, list[str]]] = {
        "status": (f"/api/exports/{bench.completed_id}/status", []),
        "history": ("/api/exports/history", []),
        "new export": (f"/api/exports/projects/{bench.project_id}/export", ["--script", str(script)]),
    }
    with bench.running(server, redis=True) as (pid, address):
        authorization = f"Authorization: Bearer {bench.token()}"
        command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--timeout", "30s"]
        command += ["--header", authorization]
        for name, (path, options) in loads.items():
            target = [*options, address + path]
            load([*command, "--duration", "2s", *target])
            if name == "status":
                figures[MEMORY] = memory_bytes(pid) / 2**20
            before = cpu_seconds(pid)
            requests, took_s = load([*command, "--duration", f"{seconds:.0f}s", *target])
            figures[f"CPU-seconds for 1,000 of {name}"] = (cpu_seconds(pid) - before) / requests * 1000
            figures[f"{name}: requests/s"] = requests / took_s
    return figures


def load(command: list[str]) -> tuple[int, float]:
    """Run wrk; return the number of requests and the seconds that they took.

    Raises:
        LocalCloudError: one of them failed.
    """
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counted = re.search(r"(\d+) requests in ([\d.]+)s", said)
    if counted is None or "Non-2xx" in said or "Socket errors" in said:
        raise LocalCloudError(f"wrk says: {said}")
    return int(counted[1]), float(counted[2])


# --- Sockets ------------------------------------------------------------------------------------------------


def measure_sockets(bench: Bench, server: Server) -> Figures:
    """Return what sockets cost a server.

    Raises:
        LocalCloudError: the server failed, or lost a message.
    """
    with bench.running(server, redis=False) as (pid, address):
        return asyncio.run(_measure_sockets(bench, pid, address))


async def _measure_sockets(bench: Bench, pid: int, address: str) -> Figures:
    figures: Figures = {}
    token = bench.token()
    # What the first ones load is no cost of a socket.
    async with AsyncExitStack() as first:
        await _open(first, address, token, 20)
        await _push(bench, address, 0.01)
    async with AsyncExitStack() as opened:
        memory, cpu = memory_bytes(pid), cpu_seconds(pid)
        sockets = await _open(opened, address, token, SOCKETS)
        figures[HANDSHAKES] = (cpu_seconds(pid) - cpu) / SOCKETS * 1000
        figures[IDLE_MEMORY] = (memory_bytes(pid) - memory) / SOCKETS / 1024

        cpu = cpu_seconds(pid)
        await asyncio.sleep(_IDLE_S)
        figures[IDLE_CPU] = (cpu_seconds(pid) - cpu) / _IDLE_S * 1000

        cpu = cpu_seconds(pid)
        for number in range(PUSHES):
            await _push(bench, address, 0.1 + number / 100)
            await _receive(sockets)
        figures[MESSAGES] = (cpu_seconds(pid) - cpu) / (PUSHES * SOCKETS) * 1000
    return figures


async def _open(stack: AsyncExitStack, address: str, token: str, count: int) -> list[ClientConnection]:
    protocols = [Subprotocol("renderhub.v1"), Subprotocol(f"bearer.{token}")]
    url = address.replace("http", "ws", 1) + "/ws/exports"
    return [
        # Without pings of its own: those of the servers are what is measured.
        await stack.enter_async_context(connect(url, subprotocols=protocols, proxy=None, ping_interval=None))
        for _ in range(count)
    ]


async def _push(bench: Bench, address: str, progress: float) -> None:
    body, headers = signed(progress_of(bench.running_id, RUNNING, progress))
    request = urllib.request.Request(address + WEBHOOK, body, headers)  # noqa: S310

    def post() -> None:
        urllib.request.urlopen(request, timeout=_READY_S).close()  # noqa: S310

    await asyncio.to_thread(post)


async def _receive(sockets: list[ClientConnection]) -> None:
    try:
        async with asyncio.timeout(30):
            await asyncio.gather(*(socket.recv() for socket in sockets))
    except TimeoutError:
        raise LocalCloudError("a message was lost") from None


# --- All of it ----------------------------------------------------------------------------------------------


@contextmanager
def prepared_bench() -> Iterator[Bench]:
    """Run what stands around the servers."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        log = folder / "ministack.log"
        account = running.enter_context(
            MiniStack(port=choose_port(0), state=folder / "aws", log=log, environment={})
        )
        queue_url = account.client("sqs").create_queue(QueueName="bench")["QueueUrl"]
        port = choose_port(0)
        redis = Process(
            "Redis",
            ["redis-server", "--port", str(port), "--bind", HOST, "--save", "", "--dir", folder],
            environment={"PATH": os.environ.get("PATH", os.defpath)},
            log=folder / "redis.log",
            ready="Ready to accept connections",
        )
        running.callback(stop, [redis])
        redis.start()
        redis.wait_until_ready(_READY_S)
        yield Bench(folder, aws=account.endpoint, queue_url=queue_url, redis_url=f"redis://{HOST}:{port}/0")


def measure(rounds: int, *, seconds: float) -> dict[str, dict[str, list[float]]]:
    """Return each figure of each server, one value for each round.

    Raises:
        LocalCloudError: something failed.
    """
    results: dict[str, dict[str, list[float]]] = {server.name: defaultdict(list) for server in SERVERS}

    def keep(server: Server, figures: Figures) -> None:
        for name, value in figures.items():
            results[server.name][name].append(value)

    with prepared_bench() as bench:
        for number in range(rounds):
            # Nobody is always the first.
            turn = number % len(SERVERS)
            for server in SERVERS[turn:] + SERVERS[:turn]:
                print(f"round {number + 1}: {server.name}", file=sys.stderr, flush=True)
                others = OtherProcesses()
                keep(server, measure_requests(bench, server, seconds=seconds))
                if server.sockets:
                    keep(server, measure_sockets(bench, server))
                keep(server, {OTHERS: others.busy_processors()})
    return results


def as_table(results: Mapping[str, Mapping[str, list[float]]]) -> str:
    """Return the figures as a Markdown table: the median, with the least and the most."""
    names = dict.fromkeys(name for figures in results.values() for name in figures)
    names[OTHERS] = names.pop(OTHERS)
    lines = ["| | " + " | ".join(results) + " |", "|---|" + "--:|" * len(results)]
    for name in names:
        cells = (_cell(figures[name]) if name in figures else "" for figures in results.values())
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(values: list[float]) -> str:
    form = ",.0f" if min(values) >= 20 else ".2f"
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def main() -> int:
    """Measure, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.servers", description="Compare servers.")
    parser.add_argument("--rounds", type=int, default=5, help="how often each server is measured (5)")
    parser.add_argument("--seconds", type=float, default=4, help="how long each load lasts (4)")
    arguments = parser.parse_args()
    for program in ("wrk", "redis-server"):
        if shutil.which(program) is None:
            parser.error(f"{program} is missing: apt-get install {program}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    bypass_proxies()
    load_before = os.getloadavg()
    try:
        results = measure(arguments.rounds, seconds=arguments.seconds)
    except LocalCloudError as error:
        print(f"renderhub: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    at = datetime.now(UTC).isoformat(timespec="seconds")
    conditions = {"at": at, "cores": len(os.sched_getaffinity(0)), "load_before": load_before}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({**conditions, "results": results}, indent=2) + "\n")
    print(f"\n{as_table(results)}\n\n{RESULT.relative_to(ROOT)} has every round.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The world around the worker, on one loopback port: the API, Remotion's function, its bucket, and SQS.

Each part speaks the real protocol and is asked afterwards what has reached it. A part does what the real one
does when all is well; ``script`` puts other replies before that.
"""

import json
import socket
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from lambda_worker import contract, signing
from lambda_worker.contract import Action, RenderProgress, RenderStarted, Webhook

FUNCTION = "remotion-render-4-0-527-mem2048mb-disk2048mb-900sec"
BUCKET = "remotionlambda-renderhub-123456789012-eu-central-1"
SECRET = "the-shared-secret"


@dataclass(frozen=True)
class Reply:
    """One HTTP answer; ``body`` is JSON unless it is bytes already."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Break:
    """The connection ends without an answer."""


@dataclass(frozen=True)
class Silence:
    """An answer that doesn't come before the test is over."""


Outcome = Reply | Break | Silence


def lambda_error(status: int, code: str, message: str = "No.") -> Reply:
    return Reply(status, {"Message": message}, {"x-amzn-ErrorType": code})


def function_error(message: str) -> Reply:
    body = {"errorType": "Runtime.ExitError", "errorMessage": message}
    return Reply(200, body, {"X-Amz-Function-Error": "Unhandled"})


@dataclass(frozen=True)
class Try:
    """One attempt to deliver a webhook, whose signature has been verified."""

    id: str
    timestamp: float
    webhook: Webhook
    path: str


class FakeApi:
    def __init__(self) -> None:
        self.script: deque[Outcome] = deque()
        self.tries: list[Try] = []
        self.delivered: list[Webhook] = []
        self.claim = Action.RENDER
        self.first_report = Action.KEEP

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> Outcome:
        signing.verify(body, headers.get(signing.HEADER.lower()), secrets=[SECRET])
        envelope, data = contract.parse_envelope(body)
        webhook = contract.parse_webhook(data)
        assert webhook is not None
        self.tries.append(Try(envelope.id, envelope.timestamp, webhook, path))
        if self.script:
            return self.script.popleft()
        self.delivered.append(webhook)
        if isinstance(webhook, RenderStarted):
            return Reply(200, {"action": self.claim})
        if isinstance(webhook, RenderProgress) and webhook.token is not None:
            return Reply(200, {"action": self.first_report})
        return Reply()


class FakeS3:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get(self, path: str) -> Reply:
        if path not in self.objects:
            return Reply(404, b"<Error><Code>NoSuchKey</Code><Message>No.</Message></Error>")
        return Reply(200, self.objects[path])

    def put(self, path: str, body: bytes) -> Reply:
        self.objects[path] = body
        return Reply(200, b"")


class FakeRemotion:
    """Remotion's function; a render it has started stands where ``renders`` says."""

    def __init__(self, s3: FakeS3) -> None:
        self._s3 = s3
        self.script: deque[Outcome] = deque()
        self.starts: list[dict[str, Any]] = []
        self.stills: list[dict[str, Any]] = []
        self.polls: list[dict[str, Any]] = []
        self.renders: dict[str, dict[str, Any]] = {}

    def answer(self, path: str, body: bytes) -> Outcome:
        request = json.loads(body)
        assert request["version"] == "4.0.527"
        asked = {"start": self.starts, "still": self.stills, "status": self.polls}
        asked[request["type"]].append(request)
        if self.script:
            return self.script.popleft()
        if path != f"/2015-03-31/functions/{FUNCTION}/invocations":
            return lambda_error(404, "ResourceNotFoundException", f"Function not found: {path}")
        answers = {"start": self._start, "still": self._still, "status": self._status}
        return Reply(200, answers[request["type"]](request))

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        render_id = f"render{len(self.renders)}"
        out = request["outName"]
        self.renders[render_id] = running()
        if f"/{out['bucketName']}/{out['key']}" in self._s3.objects and not request["overwrite"]:
            self.renders[render_id] = failed(f'Output file "{out["key"]}" already exists.')
        progress = {"cancellationEnabled": request["enableCancellation"]}
        self._s3.put(
            f"/{request['bucketName']}/renders/{render_id}/progress.json", json.dumps(progress).encode()
        )
        return {"type": "success", "bucketName": request["bucketName"], "renderId": render_id}

    def _still(self, request: dict[str, Any]) -> dict[str, Any]:
        out = request["outName"]
        return {
            "type": "success",
            "output": f"https://s3.eu-central-1.amazonaws.com/{out['bucketName']}/{out['key']}",
            "outKey": out["key"],
            "size": 4_321,
            "sizeInBytes": 4_321,
            "bucketName": request["bucketName"],
            "renderId": f"still{len(self.stills)}",
            "estimatedPrice": {
                "accruedSoFar": 0.00004,
                "displayCost": "<$0.001",
                "currency": "USD",
                "disclaimer": "…",
            },
            "receivedArtifacts": [],
        }

    def _status(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["renderId"] not in self.renders:
            return {
                "type": "error",
                "message": f'No render with ID "{request["renderId"]}" found',
                "stack": "",
            }
        return self.renders[request["renderId"]]


def running(**changes: Any) -> dict[str, Any]:
    """What Remotion 4.0.527 tells of a running render, but for the fields that nobody here reads."""
    return {
        "type": "success",
        "done": False,
        "overallProgress": 0.5333333333333333,
        "fatalErrorEncountered": False,
        "errors": [],
        "costs": {"accruedSoFar": 0.00123, "displayCost": "$0.001", "currency": "USD", "disclaimer": "…"},
        "renderMetadata": {
            "compositionId": "MainComposition",
            "inputProps": {"type": "payload", "payload": "{}"},
        },
        "currentTime": 1_764_000_005_000,
        "timeoutTimestamp": 1_764_000_900_000,
        "outputFile": None,
        "outKey": None,
        "outputSizeInBytes": None,
        **changes,
    }


def error(message: str, **changes: Any) -> dict[str, Any]:
    return {
        "type": "stitcher",
        "message": message,
        "name": "Error",
        "stack": f"Error: {message}\n    at render (index.js:1:1)",
        "isFatal": True,
        "willRetry": False,
        "attempt": 1,
        "totalAttempts": 1,
        "frame": None,
        "chunk": None,
        "explanation": None,
        **changes,
    }


def failed(*messages: str) -> dict[str, Any]:
    return running(fatalErrorEncountered=True, errors=[error(message) for message in messages])


@dataclass(frozen=True)
class Sent:
    queue_url: str
    body: str
    attributes: dict[str, str]


class FakeSqs:
    def __init__(self) -> None:
        self.script: deque[Outcome] = deque()
        self.sent: list[Sent] = []

    def answer(self, headers: dict[str, str], body: bytes) -> Outcome:
        assert headers["x-amz-target"] == "AmazonSQS.SendMessage"
        if self.script:
            return self.script.popleft()
        data = json.loads(body)
        attributes = {name: each["StringValue"] for name, each in data["MessageAttributes"].items()}
        self.sent.append(Sent(data["QueueUrl"], data["MessageBody"], attributes))
        return Reply(200, {"MessageId": "00000000-0000-0000-0000-000000000000", "MD5OfMessageBody": "0" * 32})


class World:
    """Use as a context manager; ``url`` is where all of it listens."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.s3 = FakeS3()
        self.remotion = FakeRemotion(self.s3)
        self.sqs = FakeSqs()
        self.failures: list[BaseException] = []
        self.over = threading.Event()
        self._server = _Server(self)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self.failures:
            raise self.failures[0]

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Outcome:
        if path.startswith("/2015-03-31/"):
            return self.remotion.answer(path, body)
        if path.startswith("/api/"):
            return self.api.answer(path, headers, body)
        if path == "/":
            return self.sqs.answer(headers, body)
        return self.s3.get(path) if method == "GET" else self.s3.put(path, body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, world: World) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.world = world


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        world = self.server.world
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            outcome = world.answer(self.command, self.path.partition("?")[0], headers, body)
        except BaseException as error:
            world.failures.append(error)
            outcome = Reply(500)
        self.close_connection = True
        if isinstance(outcome, Silence):
            world.over.wait()
        elif isinstance(outcome, Break):
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            content = outcome.content()
            self.send_response(outcome.status)
            for name, value in {"Content-Length": str(len(content)), **outcome.headers}.items():
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content)

    do_GET = do_POST  # noqa: N815  # the names that http.server looks for
    do_PUT = do_POST  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass

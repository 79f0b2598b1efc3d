import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from boto3.session import Session

from lambda_worker.callback import Callback
from lambda_worker.handler import Worker
from lambda_worker.remotion import Remotion
from lambda_worker.render import Invocation
from lambda_worker.settings import read_settings
from lambda_worker.telemetry import log
from tests.lambda_worker import golden
from tests.lambda_worker.world import BUCKET, FUNCTION, SECRET, World

TOKEN = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
MESSAGE_ID = "059f36b4-87a3-44ab-83d2-661975830a7d"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with World() as world:
        environment = {
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL_LAMBDA": world.url,
            "AWS_ENDPOINT_URL_S3": world.url,
            "AWS_ENDPOINT_URL_SQS": world.url,
            "REMOTION_FUNCTION_NAME": FUNCTION,
            "REMOTION_BUCKET": BUCKET,
            "REMOTION_SQS_DLQ_URL": f"{world.url}/123456789012/remotion-render-queue-dlq",
            "WEBHOOK_SECRETS": f"{SECRET},an-older-secret",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield world


@dataclass
class Clock:
    """A clock that only moves when somebody sleeps."""

    now: float = 1_764_000_000.0
    pauses: list[float] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def sleep(self, pause_s: float) -> None:
        self.pauses.append(pause_s)
        self.now += pause_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def callback(clock: Clock) -> Callback:
    return Callback(secret=SECRET, clock=clock.time, sleep=clock.sleep, uniform=lambda low, high: high)


def invocation(**changes: Any) -> Invocation:
    """An invocation of which as much time has passed as the golden files say."""
    known = {
        "token": TOKEN,
        "memory_mb": 512,
        "elapsed_s": lambda: 0.1421,
        "remaining_s": lambda: 150.0,
    }
    return Invocation(**{**known, **changes})


Take = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="session")
def session() -> Session:
    """One for all tests, as it reads the descriptions of AWS services; its clients see each test's world."""
    return Session(region_name="eu-central-1", aws_access_key_id="test", aws_secret_access_key="test")


@pytest.fixture
def worker(world: World, callback: Callback, session: Session) -> Worker:
    settings = read_settings(os.environ)
    remotion = Remotion(
        settings, session=session, start_timeout_s=0.3, still_timeout_s=0.3, status_timeout_s=0.3
    )
    return Worker(settings, session=session, remotion=remotion, callback=callback)


@pytest.fixture
def take(worker: Worker) -> Take:
    """Hand the worker the body of one queue message, and return what it tells SQS."""

    def take(body: str) -> dict[str, Any]:
        return worker.handle(event(body), invocation=invocation())

    return take


def event(body: str) -> dict[str, Any]:
    """What the event source mapping of an SQS queue hands to Lambda."""
    return {
        "Records": [
            {
                "messageId": MESSAGE_ID,
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:remotion-render-queue",
                "awsRegion": "eu-central-1",
            }
        ]
    }


def message(name: str, world: World, **changes: Any) -> str:
    """Return a golden message whose webhooks go to ``world``, with ``changes`` in it or its configuration."""
    data = golden.load(name)
    place = data.get("renderConfig", data)
    place["webhookUrl"] = f"{world.url}/api/exports/webhook"
    for key, value in changes.items():
        (place if key in place else data)[key] = value
    return json.dumps(data)


@pytest.fixture
def log_text(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Return what has been logged, as text."""
    stream = io.StringIO()
    monkeypatch.setattr(log.registered_handler, "stream", stream)
    return stream.getvalue

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.package_worker import package
from localcloud import ports
from localcloud.cloud import LocalCloud
from localcloud.ministack import MiniStack
from localcloud.stack import Stack, deploy

WEB_ORIGIN = "http://localhost:8000"


@pytest.fixture(scope="session")
def worker_zip() -> Path:
    return package()


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    state = tmp_path_factory.mktemp("aws")
    settings = {"AWS_ENDPOINT_URL_LAMBDA": "http://127.0.0.1:1"}
    with MiniStack(
        port=ports.choose_port(0), state=state, log=state / "ministack.log", environment=settings
    ) as ministack:
        yield ministack


@pytest.fixture(scope="session")
def stack(account: MiniStack, worker_zip: Path) -> Stack:
    return deploy(account, worker=worker_zip, webhook_secrets="a-secret-of-tests", web_origins=[WEB_ORIGIN])


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """All of the one-machine AWS; what it tells of its web process is for the test to start."""
    state = tmp_path_factory.mktemp("cloud")
    with LocalCloud(web_port=ports.choose_port(0), state=state) as running:
        yield running

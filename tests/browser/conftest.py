"""Chromium, the whole system, and whoever sits in front of them."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from localcloud.api_client import ApiClient
from localcloud.browser import find_browser
from localcloud.paths import ROOT
from localcloud.system import System, running_system

WITHIN_MS = 90_000
"""How long a render may take on a busy machine."""

NewPage = Callable[..., Page]


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_system(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=20_000)
    # Chromium refuses to run in its sandbox as root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def api(system: System) -> ApiClient:
    client = ApiClient(system.address)
    client.sign_in(system.demo.username, system.demo.password)
    return client


@pytest.fixture(scope="package")
def stranger(system: System) -> tuple[str, str]:
    """Another user's name and password."""
    password = "another-pass-word"
    subprocess.run(
        [
            sys.executable,
            "manage.py",
            "createsuperuser",
            "--noinput",
            "--username=eve",
            "--email=e@e.example",
        ],
        cwd=ROOT,
        env={
            **os.environ,
            **system.cloud.environment,
            "DJANGO_SETTINGS_MODULE": "renderhub.settings",
            "DJANGO_SUPERUSER_PASSWORD": password,
        },
        check=True,
    )
    return "eve", password


@pytest.fixture
def refusals() -> set[int]:
    """The HTTP statuses that a test provokes, which Chromium would complain of."""
    return set()


@pytest.fixture
def new_page(chromium: Browser, system: System, refusals: set[int]) -> Iterator[NewPage]:
    """Opens a page in a browser of its own, or beside another; no page may complain of anything."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        status = re.search(r"responded with a status of (\d+)", message.text)
        if message.type in ("error", "warning") and not (status and int(status[1]) in refusals):
            complaints.append(message.text)

    def open_page(*, beside: Page | None = None, **options: Any) -> Page:
        if beside is None:
            contexts.append(chromium.new_context(base_url=system.address, **options))
        page = (beside.context if beside else contexts[-1]).new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(new_page: NewPage, system: System) -> Page:
    """The studio, as the demo's user sees it."""
    page = new_page()
    sign_in(page, system.demo.username, system.demo.password)
    open_studio(page, system.demo.project_id)
    return page


def sign_in(page: Page, username: str, password: str) -> None:
    page.goto("/login")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def open_studio(page: Page, project_id: str) -> None:
    page.goto(f"/?project={project_id}")
    expect(page.get_by_role("button", name=re.compile("^Export "))).to_be_visible()
    expect(page.locator("#live")).to_have_attribute("data-state", "live")

"""What a person sees of one export."""

import re
import urllib.request

import pytest
from playwright.sync_api import Page, expect

from localcloud.api_client import ApiClient
from localcloud.system import System
from tests.browser.conftest import WITHIN_MS, NewPage, sign_in

pytestmark = pytest.mark.slow


PLAY_FOR_HALF_A_SECOND = """
(video) => new Promise((resolve) => {
    video.addEventListener("timeupdate", () => video.currentTime > 0.5 && resolve());
    video.addEventListener("canplay", () => video.play());
    video.muted = true;
    if (video.readyState >= 3) video.play();
})
"""


def ask(api: ApiClient, project_id: str, **body: object) -> str:
    return str(api.call("POST", f"/api/exports/projects/{project_id}/export", body)["exportId"])


@pytest.fixture(scope="package")
def exported(api: ApiClient, system: System) -> str:
    """An export that is completed, or soon will be."""
    return ask(api, system.demo.project_id, inputProps={"durationInSeconds": 2})


@pytest.fixture(scope="package")
def failing(api: ApiClient) -> str:
    """An export of a composition that throws."""
    project = api.call("POST", "/api/projects", {"title": "Broken chart", "compositionId": "Throws"})
    return ask(api, project["projectId"])


def test_the_video_of_a_finished_export_plays(page: Page, exported: str):
    page.goto(f"/exports/{exported}")
    expect(page.locator("#status")).to_have_text("Ready", timeout=WITHIN_MS)
    video = page.locator("video")
    expect(video).to_be_visible()
    video.evaluate(PLAY_FOR_HALF_A_SECOND)
    seen = video.evaluate(
        "(video) => [video.readyState >= 2, video.videoWidth, video.videoHeight, video.error]"
    )
    assert seen == [True, 1280, 720, None]


def test_the_file_of_a_finished_export_can_be_downloaded(page: Page, exported: str):
    page.goto(f"/exports/{exported}")
    link = page.get_by_role("link", name=re.compile(r"^Download MP4, \d+ kB$"))
    expect(link).to_be_visible(timeout=WITHIN_MS)
    with urllib.request.urlopen(link.get_attribute("href") or "") as response:  # noqa: S310
        assert (response.status, response.headers["Content-Type"]) == (200, "video/mp4")
        assert response.headers["Content-Disposition"].startswith("attachment; filename=")


def test_an_address_that_no_longer_works_is_replaced(
    page: Page, api: ApiClient, exported: str, refusals: set[int]
):
    refusals.add(403)
    page.goto(f"/exports/{exported}")
    expect(page.locator("#status")).to_have_text("Ready", timeout=WITHIN_MS)
    video = page.locator("video")
    stale = video.evaluate("(video) => (video.src = video.src.replace(/Signature=..../, 'Signature=0000'))")
    video.evaluate(PLAY_FOR_HALF_A_SECOND)
    assert video.get_attribute("src") != stale


def test_the_timeline_and_the_details_tell_what_happened(page: Page, exported: str):
    page.goto(f"/exports/{exported}")
    timeline = page.locator("#timeline li")
    expect(timeline.last).to_contain_text("The file was ready", timeout=WITHIN_MS)
    expect(timeline.first).to_contain_text("You asked for it")
    for term in ("Size", "Took", "Cost"):
        expect(page.locator("#details dt", has_text=term)).to_be_visible()


def test_a_running_export_shows_its_progress_and_then_its_video(page: Page, api: ApiClient, system: System):
    page.goto(f"/exports/{ask(api, system.demo.project_id)}")
    bar = page.get_by_role("progressbar", name="Progress of Quarterly figures")
    expect(bar).to_be_visible()
    expect(page).to_have_title(re.compile(r"^\d+ % · Quarterly figures"), timeout=WITHIN_MS)
    expect(page.locator("video")).to_be_visible(timeout=WITHIN_MS)
    expect(bar).to_be_hidden()


def test_a_composition_that_throws_shows_its_own_message(page: Page, failing: str):
    page.goto(f"/exports/{failing}")
    message = page.locator("#failure .message")
    expect(message).to_have_text("The chart has no data to draw: {unbalanced", timeout=WITHIN_MS)
    page.get_by_text("All that Remotion said").click()
    expect(page.locator("#failure details pre")).to_contain_text("at Throws")
    page.goto("/")
    entry = page.locator(f'[data-export-id="{failing}"]')
    expect(entry).to_contain_text("The chart has no data to draw: {unbalanced")


def test_a_failed_export_is_retried_from_its_page(page: Page, api: ApiClient, failing: str):
    page.goto(f"/exports/{failing}")
    expect(page.locator("#status")).to_have_text("Failed", timeout=WITHIN_MS)
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("#status")).not_to_have_text("Failed")
    expect(page.locator("#timeline")).to_contain_text("It was asked for again (attempt 2)")
    expect(page.locator("#status")).to_have_text("Failed", timeout=WITHIN_MS)
    expect(page.get_by_role("button", name="Retry")).to_be_visible()


def test_a_running_export_is_cancelled_from_its_page(page: Page, api: ApiClient):
    project = api.call("POST", "/api/projects", {"title": "Countdown", "compositionId": "Long"})
    page.goto(f"/exports/{ask(api, project['projectId'])}")
    expect(page.locator("#status")).to_have_text("Rendering", timeout=WITHIN_MS)
    page.get_by_role("button", name="Cancel export").click()
    expect(page.locator("#status")).to_have_text("Cancelled")
    expect(page.locator("#failure")).to_contain_text("Its render was told to stop.")
    expect(page.get_by_role("button", name="Cancel export")).to_be_hidden()
    expect(page.get_by_role("button", name="Export it after all")).to_be_visible()


def test_a_gif_is_shown_as_an_image(page: Page, api: ApiClient, system: System):
    page.goto(
        f"/exports/{ask(api, system.demo.project_id, codec='gif', inputProps={'durationInSeconds': 1})}"
    )
    image = page.get_by_role("img", name="Quarterly figures, as an animated image")
    expect(image).to_be_visible(timeout=WITHIN_MS)
    assert image.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 1280


def test_a_still_is_shown_as_an_image(page: Page, api: ApiClient, system: System):
    page.goto(f"/exports/{ask(api, system.demo.project_id, codec='webp', frame=30)}")
    image = page.get_by_role("img", name="Quarterly figures, as a picture")
    expect(image).to_be_visible(timeout=WITHIN_MS)
    assert image.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 1280
    expect(page.get_by_role("link", name=re.compile("^Download WebP, "))).to_be_visible()


def test_a_page_is_offered_as_a_link(page: Page, api: ApiClient, system: System):
    page.goto(f"/exports/{ask(api, system.demo.project_id, codec='pdf')}")
    link = page.get_by_role("link", name=re.compile("^Download PDF, "))
    expect(link).to_be_visible(timeout=WITHIN_MS)
    with urllib.request.urlopen(link.get_attribute("href") or "") as response:  # noqa: S310
        assert response.headers["Content-Type"] == "application/pdf"
    expect(page.locator("#file video, #file img, #file audio")).to_have_count(0)


def test_an_export_of_someone_else_does_not_exist(
    new_page: NewPage, stranger: tuple[str, str], exported: str, refusals: set[int]
):
    refusals.add(404)
    page = new_page()
    sign_in(page, *stranger)
    expect(page.get_by_role("heading", name="New export")).to_be_visible()
    answer = page.goto(f"/exports/{exported}")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()


@pytest.mark.parametrize("name", ["exported", "failing"])
def test_an_exports_page_is_no_wider_than_a_small_phone(
    name: str, new_page: NewPage, system: System, request: pytest.FixtureRequest
):
    page = new_page(viewport={"width": 360, "height": 740})
    sign_in(page, system.demo.username, system.demo.password)
    expect(page.get_by_role("heading", name="New export")).to_be_visible()
    page.goto(f"/exports/{request.getfixturevalue(name)}")
    expect(page.locator("#status")).to_have_text(re.compile("Ready|Failed"), timeout=WITHIN_MS)
    expect(page.locator("#timeline li")).not_to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") == 360

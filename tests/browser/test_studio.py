"""What a person does in the studio."""

import re

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from localcloud.api_client import ApiClient
from localcloud.system import System
from tests.browser.conftest import WITHIN_MS, NewPage, open_studio, sign_in

pytestmark = pytest.mark.slow

# Keeps each value that the bar of an export has shown, by the export's id.
RECORD_BARS = """
() => {
    window.bars = {};
    new MutationObserver(() => {
        for (const entry of document.querySelectorAll(".entry")) {
            const shown = (window.bars[entry.dataset.exportId] ??= []);
            const value = entry.querySelector("progress").getAttribute("value");
            if (value !== null && Number(value) !== shown.at(-1)) shown.push(Number(value));
        }
    }).observe(document.querySelector("#exports"), {subtree: true, childList: true, attributes: true});
}
"""


def press_export(page: Page) -> Locator:
    """Return the line of the export that was asked for."""
    page.get_by_role("button", name=re.compile("^Export ")).click()
    link = page.get_by_role("link", name="Follow it")
    export_id = (link.get_attribute("href") or "").rpartition("/")[2]
    return page.locator(f'[data-export-id="{export_id}"]')


def count_exports(api: ApiClient) -> int:
    return len(api.call("GET", "/api/exports/history?pageSize=100")["results"])


def make_project(api: ApiClient, **more: object) -> str:
    body = {"title": "Of a test", "compositionId": "MainComposition", **more}
    return str(api.call("POST", "/api/projects", body)["projectId"])


def test_a_wrong_password_is_told(new_page: NewPage):
    page = new_page()
    sign_in(page, "demo", "not it")
    expect(page.get_by_role("alert")).to_contain_text("not right")
    expect(page.get_by_label("User name")).to_have_value("demo")
    expect(page.get_by_label("Password")).to_be_focused()


def test_an_export_with_edited_props_moves_its_bar_by_the_socket_in_every_tab(
    page: Page, new_page: NewPage, system: System, api: ApiClient
):
    other = new_page(beside=page)
    pushed: list[str] = []
    other.on("websocket", lambda socket: socket.on("framereceived", lambda frame: pushed.append(str(frame))))
    open_studio(other, system.demo.project_id)
    for tab in (page, other):
        tab.evaluate(RECORD_BARS)
    page.get_by_label("Title", exact=True).fill("Edited on the page")
    page.get_by_label("Values 1, Value").fill("1000")
    page.get_by_label("Duration").fill("6")

    export_id = press_export(page).get_attribute("data-export-id")

    for tab in (page, other):
        entry = tab.locator(f'[data-export-id="{export_id}"]')
        expect(entry.get_by_text("Ready")).to_be_visible(timeout=WITHIN_MS)
        expect(entry.get_by_role("progressbar")).to_be_hidden()
        shown = tab.evaluate("(id) => window.bars[id]", export_id)
        assert shown == sorted(shown)
        assert len(shown) >= 3, shown
    assert sum(f'"exportId":"{export_id}"' in frame for frame in pushed) >= 3


def test_pressing_twice_asks_once(page: Page, api: ApiClient):
    before = count_exports(api)
    page.get_by_role("button", name=re.compile("^Export ")).dblclick()
    expect(page.get_by_role("link", name="Follow it")).to_be_visible()
    assert count_exports(api) == before + 1


def test_a_wrong_prop_is_told_at_its_field_and_nothing_is_lost(page: Page, api: ApiClient):
    before = count_exports(api)
    page.get_by_label("Title", exact=True).fill("Kept")
    duration = page.get_by_label("Duration")
    duration.fill("99")
    page.get_by_role("button", name="Export MP4").click()

    expect(page.locator("#problems")).to_be_focused()
    expect(page.locator("#problems")).to_contain_text("Duration: Write a number from 1 to 60.")
    expect(duration).to_have_attribute("aria-invalid", "true")
    expect(duration).to_have_accessible_description(re.compile("Write a number from 1 to 60"))
    expect(duration).to_have_value("99")
    expect(page.get_by_label("Title", exact=True)).to_have_value("Kept")
    assert count_exports(api) == before

    page.get_by_role("button", name="Duration").click()
    expect(duration).to_be_focused()
    duration.fill("2")
    expect(duration).not_to_have_attribute("aria-invalid", "true")


def test_what_only_the_api_knows_to_be_wrong_is_told_at_its_field_too(
    page: Page, api: ApiClient, refusals: set[int]
):
    refusals.add(400)
    row = {"type": "object", "properties": {"label": {"type": "string", "pattern": "^[a-z]*$"}}}
    rows = {"type": "object", "properties": {"values": {"type": "array", "items": row}}}
    props = {"values": [{"label": "good"}, {"label": "BAD"}]}
    open_studio(page, make_project(api, propsSchema=rows, inputProps=props))
    page.get_by_role("button", name="Export MP4").click()

    label = page.get_by_label("Values 2, Label")
    expect(label).to_have_attribute("aria-invalid", "true")
    expect(label).to_have_accessible_description(re.compile('"BAD" does not match'))
    expect(page.get_by_label("Values 1, Label")).not_to_have_attribute("aria-invalid", "true")
    expect(label).to_have_value("BAD")


def test_props_without_a_schema_are_edited_as_json(page: Page, api: ApiClient):
    open_studio(page, make_project(api, inputProps={"title": "Free"}))
    props = page.get_by_label("Props")
    expect(props).to_have_value('{\n  "title": "Free"\n}')
    props.fill('{"title": ')
    page.get_by_role("button", name="Export MP4").click()
    expect(props).to_have_accessible_description(re.compile("no valid JSON"))


def test_rows_are_added_and_removed_and_the_focus_follows(page: Page):
    add = page.get_by_role("button", name="Add a row")
    add.click()
    expect(page.get_by_label("Values 8, Label")).to_be_focused()
    page.keyboard.type("New")
    page.get_by_role("button", name="Remove Values 1").press("Enter")
    expect(page.get_by_label("Values 7, Label")).to_have_value("New")
    expect(page.get_by_label("Values 1, Label")).to_have_value("Tue")
    expect(page.get_by_role("button", name="Remove Values 1")).to_be_focused()
    for _ in range(5):
        add.click()
    expect(page.get_by_role("button", name="12 rows are the most")).to_be_disabled()


def test_whoever_is_signed_out_comes_back_to_what_was_typed(page: Page, system: System, refusals: set[int]):
    refusals.update((401, 403))
    page.get_by_label("Title", exact=True).fill("Not lost")
    page.context.clear_cookies(name="sessionid")
    page.get_by_role("button", name="Export MP4").click()

    expect(page).to_have_url(re.compile(r"/login\?next="))
    page.get_by_label("User name").fill(system.demo.username)
    page.get_by_label("Password").fill(system.demo.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Title", exact=True)).to_have_value("Not lost")


def test_signing_out_leaves_nothing_of_what_was_typed(page: Page, system: System):
    page.get_by_label("Title", exact=True).fill("Secret")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_socket_that_is_lost_is_opened_again(new_page: NewPage, system: System):
    page = new_page()
    sign_in(page, system.demo.username, system.demo.password)
    opened: list[WebSocketRoute] = []

    def drop_the_first(socket: WebSocketRoute) -> None:
        opened.append(socket)
        if len(opened) == 1:
            socket.close()
        else:
            socket.connect_to_server()

    page.route_web_socket("**/ws/exports", drop_the_first)
    page.goto("/")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    assert len(opened) == 2


def test_someone_without_a_project_is_told_what_to_do(new_page: NewPage, stranger: tuple[str, str]):
    page = new_page()
    sign_in(page, *stranger)
    expect(page.get_by_text("You have no project yet")).to_be_visible()
    expect(page.get_by_text("Nothing exported yet")).to_be_visible()


def test_a_server_in_trouble_is_told_and_nothing_is_lost(page: Page, refusals: set[int]):
    refusals.update((500, 429))
    page.get_by_label("Title", exact=True).fill("Kept")
    answers = iter([{"status": 500, "body": "oops"}, {"status": 429, "headers": {"Retry-After": "7"}}])
    page.route("**/api/exports/projects/*/export", lambda route: route.fulfill(**next(answers)))
    button = page.get_by_role("button", name="Export MP4")
    button.click()
    expect(page.locator("#problems")).to_contain_text("Try again in a moment")
    button.click()
    expect(page.locator("#problems")).to_contain_text("Try again in 7 s")
    expect(page.get_by_label("Title", exact=True)).to_have_value("Kept")


@pytest.mark.parametrize("path", ["/login", "/", "/nothing"])
def test_nothing_is_wider_than_a_small_phone(
    path: str, new_page: NewPage, system: System, refusals: set[int]
):
    refusals.add(404)
    page = new_page(viewport={"width": 360, "height": 740})
    if path != "/login":
        sign_in(page, system.demo.username, system.demo.password)
        expect(page.get_by_role("heading", name="New export")).to_be_visible()
    page.goto(path)
    if path == "/":
        expect(page.get_by_role("button", name="Export MP4")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360

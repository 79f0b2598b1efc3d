import html
import json
import re

import pytest
from django.test import Client
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.test import APIClient

from exports.models import Batch, ExportRequest, Project
from tests.conftest import NOW
from tests.routes import api_routes

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def browser(user) -> Client:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    return client


def test_a_browser_gets_a_page_with_everything_from_this_server(browser, project):
    page = browser.get("/api/projects", headers=PAGE)
    assert page["Content-Type"].startswith("text/html")
    text = page.content.decode()
    assert project.title in text
    assert "/api-auth/logout/" in text
    assert "width=device-width" in text
    links = re.findall(r'(?:src|href)="(https?:)?//[^"]*\.(?:js|css)', text)
    assert links == []


def test_a_program_gets_json_whatever_it_accepts(api, project):
    for accept in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        assert api.get("/api/projects", headers=accept)["Content-Type"] == "application/json"


def test_someone_signed_in_sends_the_pages_form_with_its_csrf_token(browser, user):
    page = browser.get("/api/projects", headers=PAGE).content.decode()
    [token] = re.findall(r'"csrfToken": "(\w+)"', page)
    body = {"title": "T", "compositionId": "M"}
    refused = browser.post("/api/projects", body, "application/json", headers=PAGE)
    assert refused.status_code == 403
    made = browser.post("/api/projects", body, "application/json", headers={**PAGE, "X-CSRFToken": token})
    assert made.status_code == 201
    assert Project.objects.get().title == "T"


def test_the_form_is_the_raw_one_alone_since_bodies_are_json(browser, project):
    page = browser.get(f"/api/exports/projects/{project.pk}/export", headers=PAGE).content.decode()
    assert 'name="_content"' in page
    assert "multipart/form-data" not in page


def test_an_error_is_a_readable_page_in_a_browser(browser):
    page = browser.post("/api/projects", "{", "application/json", headers=PAGE)
    assert page.status_code == 403
    unknown = browser.get("/api/exports/01936f5e-7b8a-7c3d-9e2f-4a5b6c7d8e9f/status", headers=PAGE)
    assert unknown.status_code == 404
    assert unknown["Content-Type"].startswith("text/html")
    assert "urn:renderhub:problem:not-found" in unknown.content.decode()


def test_a_visitor_is_shown_where_to_sign_in(client, db):
    page = client.get("/api/projects", headers=PAGE)
    assert page.status_code == 401
    assert page["Content-Type"].startswith("text/html")
    assert "/api-auth/login/" in page.content.decode()
    assert client.get("/api-auth/login/").status_code == 200


def test_a_program_that_accepts_nothing_of_ours_is_told_so_as_a_problem(user):
    program = APIClient()
    program.force_authenticate(user)
    answer = program.get("/api/projects", headers={"Accept": "application/xml"})
    assert (answer.status_code, answer["Content-Type"]) == (406, "application/problem+json")


# --- Every address ------------------------------------------------------------------------------------------

# All but what is a file.
ROUTES = [
    route
    for route in api_routes()
    if any(
        issubclass(renderer, BrowsableAPIRenderer) for renderer in getattr(route.view, "renderer_classes", ())
    )
]
TOKENS = "/api/auth/"


@pytest.fixture
def things(project, sent, outputs):
    """One of each thing that a path can name, in a state in which it can be acted on."""
    project.props_schema = None
    project.save()
    times = {"created_at": NOW, "queued_at": NOW, "updated_at": NOW}
    about = {"project": project, "user": project.user, "title": "T", "codec": "h264"}
    batch = Batch.objects.create(
        user=project.user, project=project, stage="released", total=1, accepted=1, created_at=NOW
    )
    ExportRequest.objects.create(**about, **times, status="failed", batch=batch, row=1)

    def fill(path, status):
        export = ExportRequest.objects.create(**about, **times, status=status)
        return path.format(export_id=export.pk, project_id=project.pk, batch_id=batch.pk)

    return fill


def token_of(page):
    [token] = re.findall(r'"csrfToken": "(\w+)"', page)
    return token


def prefilled(page):
    """Return what the page's last form holds: that of the change, where there are two."""
    return html.unescape(
        re.findall(r'<textarea[^>]*name="_content"[^>]*>([^<]*)</textarea>', page)[-1].strip()
    )


def test_the_addresses_that_are_no_pages_are_files():
    assert {route.path for route in api_routes()} - {route.path for route in ROUTES} == {
        "/api/docs",
        "/api/exports/history.csv",
        "/api/schema",
    }


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_address_is_a_page_with_what_can_be_done_there(browser, things, user, route):
    answer = browser.get(things(route.path, "processing"), headers=PAGE)
    assert answer["Content-Type"].startswith("text/html")
    assert answer.status_code == (200 if "GET" in route.methods else 405)
    page = answer.content.decode()
    # Whoever asks for a token isn't asked who they are.
    assert (user.get_username() in page) != route.path.startswith(TOKENS)
    assert ('data-method="DELETE"' in page) == ("DELETE" in route.methods)
    assert ('name="_content"' in page) == bool(route.methods & {"POST", "PATCH"})


WRITES = [(route, method) for route in ROUTES for method in sorted(route.methods - {"GET"})]


@pytest.mark.parametrize(("route", "method"), WRITES, ids=lambda each: getattr(each, "path", each))
def test_what_a_page_offers_is_done_with_its_csrf_token_and_refused_without(browser, things, route, method):
    status = "failed" if route.path.endswith("}/retry") else "processing"
    if route.path == "/api/projects/{project_id}" and method == "DELETE":
        status = "completed"
    address = things(route.path, status)
    page = browser.get(address, headers=PAGE).content.decode()
    body = "" if method == "DELETE" else prefilled(page)

    def send(**headers):
        kind = "application/json" if body else "text/plain"
        return browser.generic(method, address, body, kind, headers={**PAGE, **headers})

    if not route.path.startswith(TOKENS):
        before = ExportRequest.objects.count(), Project.objects.values().get()
        refused = send()
        assert refused.status_code == 403
        assert "CSRF" in refused.content.decode()
        assert (ExportRequest.objects.count(), Project.objects.values().get()) == before
    done = send(**{"X-CSRFToken": token_of(page)})
    # The tokens of the examples are none.
    assert done.status_code in ((401,) if route.path.startswith(TOKENS) else (200, 201, 202, 204)), (
        done.content
    )


def test_a_form_shows_an_example_of_its_body(browser, things):
    page = browser.get(things("/api/projects", "failed"), headers=PAGE).content.decode()
    body = json.loads(prefilled(page))
    assert (body["title"], body["codec"]) == ("Quarterly figures", "h264")
    page = browser.get(things("/api/exports/{export_id}/cancel", "failed"), headers=PAGE).content.decode()
    assert prefilled(page) == ""

import re

import pytest
from django.test import Client
from rest_framework.test import APIClient

from exports.models import Project

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

"""What the API answers where nobody meant it to fail, or nothing is there."""

import pytest
from django.contrib.auth import get_user_model
from django.db import InterfaceError, OperationalError
from django.test import Client

from exports import services


@pytest.fixture
def browser(api):
    """A client that lets the server answer for its own faults, as a server does."""
    api.raise_request_exception = False
    return api


def problem(answer, status, code):
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    body = answer.json()
    assert (body["type"], body["status"]) == (f"urn:renderhub:problem:{code}", status)
    return body


@pytest.fixture
def broken(monkeypatch):
    def fail(**_):
        raise RuntimeError("secret of the server")

    for name in ("create_export", "claim_render"):
        monkeypatch.setattr(services, name, fail)


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_a_fault_is_a_problem_with_an_id_that_is_in_the_log(
    browser, project, broken, settings, caplog, debug, accept
):
    settings.DEBUG = debug
    path = f"/api/exports/projects/{project.pk}/export"
    answer = browser.post(path, {}, headers={"Accept": accept})
    body = problem(answer, 500, "internal-error")
    assert body["errorId"] in body["detail"]
    assert "secret" not in answer.content.decode()
    record = next(each for each in caplog.records if "api.crashed" in each.getMessage())
    assert body["errorId"] in record.getMessage()
    assert "secret of the server" in caplog.text
    # Whose project it is stays out of it.
    assert str(project.pk) not in record.getMessage()


def test_a_fault_of_the_webhook_is_a_problem_too(export, broken, report, client):
    from lambda_worker.contract import RenderStarted

    client.raise_request_exception = False
    problem(
        report(RenderStarted(export_id=str(export.pk), attempt=1, token="t", version=1)),
        500,
        "internal-error",
    )


def test_a_fault_outside_of_the_views_is_a_problem_too(client, db, settings, monkeypatch):
    def fail(self, request):
        raise RuntimeError

    client.raise_request_exception = False
    monkeypatch.setattr("django.middleware.common.CommonMiddleware.process_request", fail)
    problem(client.get("/api/projects"), 500, "internal-error")
    assert client.get("/login")["Content-Type"].startswith("text/html")


@pytest.fixture(params=[OperationalError, InterfaceError])
def away(request, monkeypatch):
    """The database, gone: no query is answered any more."""

    def fail(*_, **__):
        raise request.param("no route to db.internal")

    with monkeypatch.context() as patch:
        patch.setattr("django.db.models.query.QuerySet._fetch_all", fail)
        yield


def test_without_the_database_a_call_may_be_made_again(browser, project, away, caplog):
    for answer in (browser.get("/api/projects"), browser.post(f"/api/exports/projects/{project.pk}/export")):
        problem(answer, 503, "database-unavailable")
        assert answer["Retry-After"] == "5"
        assert b"db.internal" not in answer.content
    assert "no route to db.internal" in caplog.text


def test_without_the_database_a_report_may_be_sent_again(export, report, client, away):
    from lambda_worker.contract import RenderStarted

    client.raise_request_exception = False
    answer = report(RenderStarted(export_id=str(export.pk), attempt=1, token="t", version=1))
    problem(answer, 503, "database-unavailable")


@pytest.fixture
def signed_in(client, user):
    client.raise_request_exception = False
    client.force_login(user)
    return client


@pytest.mark.parametrize("path", ["/", "/admin/"])
def test_without_the_database_a_page_says_so(signed_in, away, path):
    answer = signed_in.get(path)
    assert answer.status_code == 503
    assert "The database can't be reached" in answer.content.decode()


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nothing", "/api/exports/1/status", "/api/projects/"])
@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
def test_an_address_that_leads_nowhere_is_a_problem_for_every_method(db, path, method):
    strict = Client(enforce_csrf_checks=True)
    assert path in problem(getattr(strict, method)(path), 404, "not-found")["detail"]


def test_another_method_is_a_problem_that_tells_which_are_there(api, export):
    answer = api.delete(f"/api/exports/{export.pk}/status")
    problem(answer, 405, "method-not-allowed")
    assert answer["Allow"] == "GET, HEAD, OPTIONS"


def test_a_foreign_host_is_a_problem(client, db):
    problem(client.get("/api/projects", headers={"Host": "evil.example"}), 400, "bad-request")


def test_a_session_without_its_csrf_token_is_told_how_to_send_it(user):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(get_user_model().objects.get())
    body = problem(browser.post("/api/projects", {}, "application/json"), 403, "permission-denied")
    assert "X-CSRFToken" in body["detail"]

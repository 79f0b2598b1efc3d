"""One's exports as a CSV file, under both kinds of server."""

import csv
import io
import re

import pytest
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.db import connection
from django.test.utils import CaptureQueriesContext

from exports.models import ExportRequest
from exports.serializers.history import COLUMNS
from exports.views import history as views

PATH = "/api/exports/history.csv"


def table(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode(), newline="")))


def test_the_file_has_a_line_for_each_export_that_the_filters_let_through(api, many):
    answer = api.get(f"{PATH}?status=completed&codec=gif")
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert re.fullmatch(r'attachment; filename="exports-\d{4}-\d\d-\d\d\.csv"', answer["Content-Disposition"])
    expected = [str(row.pk) for row in many if row.status == "completed" and row.codec == "gif"]
    assert [line["exportId"] for line in table(answer.getvalue())] == expected
    assert len(expected) > 10


def test_a_line_tells_what_the_history_tells(api, export):
    ExportRequest.objects.update(title='Äh, "so"\nund', metadata={"a": "1"}, output_size_bytes=7)
    body = api.get(PATH).getvalue()
    assert body.count(b"\r\n") == 2
    (line,) = table(body)
    shown = api.get("/api/exports/history").json()["results"][0]
    assert tuple(line) == COLUMNS
    for name in set(COLUMNS) - {"progress", "metadata", "createdAt", "completedAt"}:
        assert line[name] == ("" if shown[name] is None else str(shown[name]))
    assert line["createdAt"] == api.get(f"/api/exports/{export.pk}/status").json()["createdAt"]
    assert (line["metadata"], line["completedAt"]) == ('{"a": "1"}', "")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"])
def test_no_text_runs_as_a_formula(api, export, start):
    formula = f'{start}HYPERLINK("https://evil.example";"x")'
    ExportRequest.objects.update(title=formula, error_message=formula, composition_id=formula)
    (line,) = table(api.get(PATH).getvalue())
    assert {line["title"], line["errorMessage"], line["compositionId"]} == {f"'{formula}"}


def test_without_exports_there_is_the_head(api):
    assert api.get(PATH).getvalue().decode() == ",".join(COLUMNS) + "\r\n"


@pytest.mark.parametrize("accept", ["text/csv", "application/json", "*/*", "text/csv, */*;q=0.1"])
def test_a_wrong_filter_is_a_problem_before_anything_is_sent(api, accept):
    answer = api.get(f"{PATH}?pageSize=3&status=x", headers={"Accept": accept})
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert {error["parameter"] for error in answer.json()["errors"]} == {"pageSize", "status"}
    assert api.get(PATH, headers={"Accept": accept}).status_code == 200


def test_nobody_reads_it_without_signing_in(client, db):
    assert client.get(PATH).status_code == 401


def test_it_is_read_in_chunks_while_it_is_sent(api, many, monkeypatch):
    monkeypatch.setattr(views, "_CHUNK", 50)
    parts = api.get(PATH).streaming_content
    assert next(parts).startswith(b"exportId,")
    sizes = []
    while True:
        with CaptureQueriesContext(connection) as captured:
            part = next(parts, None)
        if part is None:
            break
        assert len(captured) == 2
        sizes.append(len(table(b"a\r\n" + part)))
    assert sizes == [50, 50, 50, 50]


@pytest.mark.django_db(transaction=True)
async def test_an_asgi_server_sends_it_in_the_same_chunks(signed_in, many, monkeypatch):
    monkeypatch.setattr(views, "_CHUNK", 50)
    scope = {
        "type": "http",
        "method": "GET",
        "path": PATH,
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"cookie", signed_in.encode())],
    }
    # The whole of what a server calls, which closes the request's connection to the database too.
    server = ApplicationCommunicator(get_asgi_application(), scope)
    await server.send_input({"type": "http.request"})
    assert (await server.receive_output(timeout=10))["status"] == 200
    sent = [await server.receive_output(timeout=10)]
    while sent[-1].get("more_body"):
        sent.append(await server.receive_output(timeout=10))
    await server.wait()
    parts = [each["body"] for each in sent if each.get("body")]
    assert len(parts) == 5
    assert [line["exportId"] for line in table(b"".join(parts))] == [str(row.pk) for row in many]


@pytest.fixture
def signed_in(client, user):
    """The cookie of a session."""
    client.force_login(user)
    return f"sessionid={client.cookies['sessionid'].value}"

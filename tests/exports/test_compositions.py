import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.conf import settings
from django.core.cache import cache

from exports import compositions
from exports.compositions import known_compositions
from exports.models import ExportRequest, Project

read_compositions = compositions.read_compositions


class Site:
    """A web server with what a site may answer, by path."""

    def __init__(self):
        self.asked: list[str] = []
        self.gate = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                site.asked.append(self.path)
                if self.path == "/slow/compositions.json":
                    site.gate.wait(30)
                status, headers, body = site.answers.get(self.path, (404, {}, b"nothing here"))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.answers = {}

    def has(self, path, body, status=200, **headers):
        self.answers[path] = (status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.fixture
def site():
    site = Site()
    thread = threading.Thread(target=site.server.serve_forever, args=(0.05,))
    thread.start()
    yield site
    site.gate.set()
    site.server.shutdown()
    site.server.server_close()
    thread.join()


LISTED = {"compositions": [{"id": "Main", "width": 1280}, {"id": "Other"}], "later": True}


@pytest.mark.parametrize("entry", ["/a/index.html", "/a/", "/a", "/a/index.html?x=1"])
def test_the_list_lies_beside_the_sites_entry(site, entry):
    site.has("/a/compositions.json", LISTED)
    assert read_compositions(site.address + entry) == frozenset({"Main", "Other"})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        [],
        7,
        {},
        {"compositions": 7},
        {"compositions": ["Main"]},
        {"compositions": [{"id": 7}]},
        {"compositions": [{"id": []}]},
        {"compositions": [{"id": "x" * 200_000}]},
    ],
)
def test_a_list_that_is_none_is_not_known(site, body):
    site.has("/compositions.json", body)
    assert read_compositions(site.address) is None


def test_a_site_without_a_list_is_not_known(site):
    assert read_compositions(site.address) is None


def test_a_redirect_is_not_followed(site):
    site.has("/compositions.json", b"", status=302, Location=f"{site.address}/b/compositions.json")
    site.has("/b/compositions.json", LISTED)
    assert read_compositions(site.address) is None
    assert site.asked == ["/compositions.json"]


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/x", "file:///etc/hosts", "ftp://127.0.0.1/x", "", "x"]
)
def test_a_site_that_cannot_be_reached_is_not_known(address):
    assert read_compositions(address) is None


def test_a_slow_site_is_not_waited_for(site, monkeypatch):
    monkeypatch.setattr(compositions, "_TIMEOUT_S", 0.1)
    assert read_compositions(f"{site.address}/slow/index.html") is None


def test_many_at_once_read_a_site_once(monkeypatch):
    reading, go = threading.Event(), threading.Event()
    read = []

    def slowly(serve_url):
        read.append(serve_url)
        reading.set()
        go.wait(30)
        return frozenset({"Main"})

    monkeypatch.setattr(compositions, "read_compositions", slowly)
    monkeypatch.setattr(compositions, "_TIMEOUT_S", 30)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(known_compositions("https://site"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    assert reading.wait(30)
    go.set()
    for thread in threads:
        thread.join()
    assert (found, read) == ([frozenset({"Main"})] * 8, ["https://site"])


def test_what_is_known_is_kept_for_a_minute_and_what_is_not_for_ten_seconds(sites, time_machine):
    time_machine.move_to(1_000_000_000, tick=False)
    assert known_compositions("https://site") is None
    sites["https://site"] = frozenset({"Main"})
    assert known_compositions("https://site") is None
    time_machine.shift(11)
    assert known_compositions("https://site") == frozenset({"Main"})
    sites.clear()
    time_machine.shift(50)
    assert known_compositions("https://site") == frozenset({"Main"})
    time_machine.shift(11)
    assert known_compositions("https://site") is None


def test_while_another_reading_takes_too_long_nothing_is_known(monkeypatch):
    monkeypatch.setattr(compositions, "_TIMEOUT_S", 0.01)
    with compositions._reading:
        assert known_compositions("https://site") is None
    assert cache.get("compositions:https://site") is None


# --- What the API makes of it -------------------------------------------------------------------------------


@pytest.fixture
def listed(sites):
    sites[settings.REMOTION_SERVE_URL] = frozenset({"MainComposition", "Long"})


def refused(answer):
    assert answer.status_code == 400, answer.content
    [error] = answer.json()["errors"]
    assert error["pointer"] == "/compositionId"
    return error["detail"]


def test_an_unknown_composition_is_refused_with_those_that_there_are(api, project, sent, listed):
    path = f"/api/exports/projects/{project.pk}/export"
    assert "it has Long, MainComposition." in refused(api.post(path, {"compositionId": "MainCompositon"}))
    Project.objects.update(composition_id="Gone")
    refused(api.post(path, {}))
    assert not ExportRequest.objects.exists()
    assert sent.messages == []
    assert api.post(path, {"compositionId": "Long"}).status_code == 202


def test_a_sentence_names_twenty_compositions_at_the_most(api, project, sites):
    sites[settings.REMOTION_SERVE_URL] = frozenset(f"C{number:03}" for number in range(30))
    said = refused(api.post(f"/api/exports/projects/{project.pk}/export", {}))
    assert said.endswith("C018, C019 and 10 more.")


def test_a_project_of_an_unknown_composition_is_not_made_nor_changed_into(api, project, listed):
    refused(api.post("/api/projects", {"title": "T", "compositionId": "Nope"}))
    path = f"/api/projects/{project.pk}"
    refused(api.patch(path, {"compositionId": "Nope"}))
    assert Project.objects.get().composition_id == "MainComposition"
    assert api.patch(path, {"compositionId": "Long"}).status_code == 200


def test_a_project_whose_composition_is_gone_can_be_renamed_all_the_same(api, project, listed):
    Project.objects.update(composition_id="Gone")
    assert api.patch(f"/api/projects/{project.pk}", {"title": "U"}).status_code == 200


def test_a_project_moved_to_another_site_must_find_its_composition_there(api, project, sites):
    other = settings.REMOTION_SERVE_URL.replace("index", "other")
    sites[other] = frozenset({"Intro"})
    path = f"/api/projects/{project.pk}"
    refused(api.patch(path, {"serveUrl": other}))
    assert api.patch(path, {"serveUrl": other, "compositionId": "Intro"}).status_code == 200

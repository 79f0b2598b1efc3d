"""The pages as the server sends them; tests/browser has what a browser makes of them."""

import re
import subprocess
from http import HTTPStatus
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from exports import storage
from exports.models import ExportRequest
from localcloud.paths import ROOT

STATIC = ROOT / "renderhub" / "static"
FOREIGN = "/exports/01a20d50-d333-721e-9470-803a8d1ca703"


@pytest.fixture
def browser(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


@pytest.fixture(params=["login", "studio", "export", "404"])
def page(request, client, user, export):
    """Each page as its visitor gets it."""
    path = {"login": "/login", "studio": "/", "export": f"/exports/{export.pk}", "404": FOREIGN}
    if request.param != "login":
        client.force_login(user)
    return client.get(path[request.param])


@pytest.mark.parametrize("path", ["/", FOREIGN, FOREIGN + "?again=1"])
def test_whoever_is_not_signed_in_is_asked_to_and_comes_back(client, db, path):
    answer = client.get(path)
    assert answer.status_code == HTTPStatus.FOUND
    assert answer["Location"].startswith("/login?next=/")


def test_signing_in_leads_to_where_one_was_going(client, user):
    answer = client.post("/login?next=/exports/x", {"username": "ada", "password": "pass-word-1"})
    assert (answer.status_code, answer["Location"]) == (HTTPStatus.FOUND, "/exports/x")


def test_a_wrong_password_is_told_and_the_name_stays(client, user):
    answer = client.post("/login", {"username": "ada", "password": "wrong"})
    text = answer.content.decode()
    assert 'role="alert"' in text
    assert 'value="ada"' in text
    assert "wrong" not in text


def test_signing_in_leads_to_no_other_site(client, user):
    answer = client.post("/login?next=https://evil.example/", {"username": "ada", "password": "pass-word-1"})
    assert answer["Location"] == "/"


def test_signing_out_needs_a_post(browser):
    assert browser.get("/logout").status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert browser.post("/logout").status_code == HTTPStatus.FOUND
    assert browser.get("/").status_code == HTTPStatus.FOUND


def test_the_studio_offers_every_codec(browser):
    text = browser.get("/").content.decode()
    assert re.findall(r'<option value="(\w+)"', text) == [
        "h264",
        "h265",
        "vp8",
        "vp9",
        "prores",
        "gif",
        "mp3",
        "aac",
        "wav",
        "png",
        "jpeg",
        "webp",
        "pdf",
    ]


def test_an_exports_page_shows_its_title_as_text(browser, export):
    ExportRequest.objects.update(title="<script>alert(1)</script>")
    text = browser.get(f"/exports/{export.pk}").content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script>alert" not in text


def test_an_unknown_export_and_a_foreign_one_are_the_same_friendly_404(client, export, settings):
    settings.DEBUG = True
    client.force_login(User.objects.create_user("eve"))
    answers = [client.get(path) for path in (FOREIGN, f"/exports/{export.pk}")]
    assert [answer.status_code for answer in answers] == [HTTPStatus.NOT_FOUND] * 2
    assert all("There is nothing here" in answer.content.decode() for answer in answers)


def test_an_address_that_leads_nowhere_is_a_friendly_404(client, db):
    answer = client.get("/nothing")
    assert answer.status_code == HTTPStatus.NOT_FOUND
    assert "There is nothing here" in answer.content.decode()


def test_a_form_from_before_is_answered_with_what_to_do(user):
    strict = Client(enforce_csrf_checks=True)
    answer = strict.post("/login", {"username": "ada", "password": "pass-word-1"})
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert "Open it again" in answer.content.decode()


def test_each_page_forbids_what_it_does_not_need(page):
    files = "https://renderhub-test.s3.amazonaws.com"
    assert page["Content-Security-Policy"].split("; ") == [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        f"img-src 'self' {files}",
        f"media-src 'self' {files}",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]


def test_no_page_holds_a_script_or_a_style_of_its_own(page):
    text = page.content.decode()
    for script in re.findall(r"<script[^>]*>.*?</script>", text, re.DOTALL):
        assert re.fullmatch(r'<script type="module" src="/static/[\w/.]+"></script>', script)
    assert "<style" not in text
    assert not re.search(r"\s(style|on\w+)=", text)


def test_no_script_makes_markup_of_what_it_shows():
    for path in STATIC.rglob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", path.read_text()
        )


@pytest.mark.parametrize(
    ("endpoint", "bucket", "origin"),
    [
        ("", "renderhub-test", "https://renderhub-test.s3.amazonaws.com"),
        ("", "with.dots", "https://s3.amazonaws.com"),
        ("http://localhost:4566", "renderhub-test", "http://localhost:4566"),
        ("https://s3.eu-central-1.amazonaws.com", "b-1", "https://b-1.s3.eu-central-1.amazonaws.com"),
        ("", "", ""),
    ],
)
def test_the_files_origin_is_that_of_their_presigned_addresses(settings, endpoint, bucket, origin):
    settings.S3_PUBLIC_ENDPOINT_URL, settings.REMOTION_BUCKET = endpoint, bucket
    assert storage.public_origin() == origin


def test_the_scripts_own_tests_pass():
    files = sorted(map(str, Path(ROOT, "tests", "pages").glob("*.test.mjs")))
    done = subprocess.run(["node", "--test", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout

"""The status over HTTP: what it tells, its entity tag, and the addresses of its file."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from exports import services, storage
from exports.models import ExportRequest
from renderhub import aws
from tests.exports.test_journey import claim, progress, started, success


@pytest.fixture
def read(api, export):
    """Reads the status, with the entity tag of an answer before."""

    def read(tag: str | None = None) -> Any:
        headers = {} if tag is None else {"If-None-Match": tag}
        return api.get(f"/api/exports/{export.pk}/status", headers=headers)

    return read


@pytest.fixture
def rendering(export, report):
    report(claim(export))
    report(started(export))
    return export


@pytest.fixture
def completed(rendering, report):
    report(success(rendering))
    return rendering


# --- Entity tags --------------------------------------------------------------------------------------------


def test_what_has_not_changed_is_not_sent_again(read):
    first = read()
    assert re.fullmatch(r'W/"[\w-]{20}"', first["ETag"])
    again = read(first["ETag"])
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    for answer in (first, again):
        assert answer["Cache-Control"] == "private, no-cache"
        assert "Accept" in answer["Vary"]
    assert read(f'"other", {first["ETag"]}').status_code == 304
    assert read("*").status_code == 304
    assert read('"other"').status_code == 200


def test_every_step_has_a_tag_of_its_own(read, export, report, api):
    tags = [read()["ETag"]]
    for step in (
        lambda: report(claim(export)),
        lambda: report(started(export)),
        lambda: report(progress(export, 0.2)),
        lambda: report(progress(export, 0.4)),
        # A render costs more though it is no further.
        lambda: report(progress(export, 0.4, cost=0.5)),
        lambda: report(success(export)),
    ):
        step()
        changed = read(tags[-1])
        assert changed.status_code == 200
        tags.append(changed["ETag"])
    assert len(set(tags)) == len(tags)


def test_moving_up_in_the_line_is_a_change(one_slot, export, api, project):
    made = [api.post(f"/api/exports/projects/{project.pk}/export").json()["exportId"] for _ in range(2)]
    path = f"/api/exports/{made[1]}/status"
    tag = api.get(path)["ETag"]
    assert api.get(path, headers={"If-None-Match": tag}).status_code == 304
    api.post(f"/api/exports/{made[0]}/cancel")
    moved = api.get(path, headers={"If-None-Match": tag})
    assert (moved.status_code, moved.json()["queuePosition"]) == (200, 1)


def test_a_page_and_its_json_have_tags_of_their_own(client, user, export):
    client.force_login(user)
    path = f"/api/exports/{export.pk}/status"
    page = client.get(path, headers={"Accept": "text/html"})
    json = client.get(path, headers={"Accept": "application/json", "If-None-Match": page["ETag"]})
    assert json.status_code == 200


@pytest.mark.parametrize("ttl_s", [60, 3600])
def test_a_client_that_asks_for_changes_alone_has_new_addresses_before_the_old_end(
    user, completed, settings, ttl_s
):
    settings.OUTPUT_URL_TTL_S = ttl_s
    api = APIClient()
    api.force_authenticate(user)
    path = f"/api/exports/{completed.pk}/status"
    start = datetime(2027, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    unchanged = 0
    with time_machine.travel(start, tick=False) as clock:
        kept = api.get(path)
        for _ in range(200):
            clock.shift(timedelta(seconds=ttl_s / 60))
            answer = api.get(path, headers={"If-None-Match": kept["ETag"]})
            unchanged += answer.status_code == 304
            kept = kept if answer.status_code == 304 else answer
            ends = datetime.fromisoformat(kept.json()["outputExpiresAt"])
            assert ends - timezone.now() >= timedelta(seconds=ttl_s / 2)
    assert unchanged > 180


def test_an_unchanged_status_costs_one_query(user, completed):
    api = APIClient()
    api.force_authenticate(user)
    path = f"/api/exports/{completed.pk}/status"
    tag = api.get(path)["ETag"]
    with CaptureQueriesContext(connection) as captured:
        assert api.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert len(captured) == 1


def test_someone_elses_export_is_not_found_whatever_its_tag(read, django_user_model, export):
    other = APIClient()
    other.force_authenticate(django_user_model.objects.create_user("eve"))
    tag = read()["ETag"]
    assert other.get(f"/api/exports/{export.pk}/status", headers={"If-None-Match": tag}).status_code == 404


# --- How long it takes --------------------------------------------------------------------------------------


def eta_of(api, export):
    return api.get(f"/api/exports/{export.pk}/status").json()["etaSeconds"]


def test_it_goes_on_as_it_went_and_runs_down_between_two_looks(user, export):
    api = APIClient()
    api.force_authenticate(user)
    start = datetime(2027, 1, 2, tzinfo=UTC)

    def at(seconds):
        return start + timedelta(seconds=seconds)

    with time_machine.travel(start, tick=False) as clock:
        services.claim_render(report=claim(export), now=at(0))
        services.accept_render(report=started(export), now=at(1))
        clock.move_to(at(4))
        assert eta_of(api, export) is None
        # The site is open and the function invoked, but hardly a frame is done.
        services.record_progress(report=progress(export, 0.22), now=at(5))
        clock.move_to(at(5))
        assert eta_of(api, export) is None
        # Half of the frames.
        services.record_progress(report=progress(export, 0.55), now=at(20))
        for seconds, left in [(20, 20), (25, 15), (40, 0), (60, 0)]:
            clock.move_to(at(seconds))
            assert eta_of(api, export) == left


def test_what_waits_or_has_ended_has_no_estimate(api, one_slot, export, project, report):
    waiting = api.post(f"/api/exports/projects/{project.pk}/export").json()["exportId"]
    assert api.get(f"/api/exports/{waiting}/status").json()["etaSeconds"] is None
    report(claim(export))
    report(started(export))
    report(success(export))
    assert eta_of(api, export) is None


# --- The line -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(connection.vendor == "mongodb", reason="reads SQL")
def test_creating_counts_the_place_in_the_line_once(user, one_slot, export, project, sent):
    api = APIClient()
    api.force_authenticate(user)
    path = f"/api/exports/projects/{project.pk}/export"
    api.post(path)
    with CaptureQueriesContext(connection) as captured:
        assert api.post(path).json()["queuePosition"] == 2
    counts = [query["sql"] for query in captured if query["sql"].startswith("SELECT COUNT(*) AS")]
    of_the_line = [sql for sql in counts if '"rank"' in sql]
    assert len(of_the_line) == 1, counts


# --- The file -----------------------------------------------------------------------------------------------


def disposition(url: str) -> str:
    return parse_qs(urlsplit(url).query)["response-content-disposition"][0]


def test_a_file_is_played_from_one_address_and_saved_from_the_other(read, completed):
    seen = read().json()
    assert disposition(seen["outputUrl"]) == 'inline; filename="Report.mp4"'
    assert disposition(seen["downloadUrl"]) == 'attachment; filename="Report.mp4"'
    expires_at = datetime.fromisoformat(seen["outputExpiresAt"])
    assert abs((expires_at - timezone.now()).total_seconds() - 3600) < 60
    assert read().json()["errors"] == []


def test_while_there_is_no_file_there_is_no_address(read, rendering):
    seen = read().json()
    assert (seen["outputUrl"], seen["downloadUrl"], seen["outputExpiresAt"]) == (None, None, None)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Q3 figures", 'filename="Q3 figures.mp4"'),
        (
            "Grüße aus Köln",
            "filename=\"Grue aus Koln.mp4\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20aus%20K%C3%B6ln.mp4",
        ),
        ("報告", "filename=\"export.mp4\"; filename*=UTF-8''%E5%A0%B1%E5%91%8A.mp4"),
        ("../../etc/passwd", 'filename="etc passwd.mp4"'),
        ("C:\\temp\\x", 'filename="C temp x.mp4"'),
        ('a"; filename="evil.exe', 'filename="a ; filename= evil.exe.mp4"'),
        ("line\r\nSet-Cookie: x", 'filename="line Set-Cookie x.mp4"'),
        ("gpj\u202e.exe", 'filename="gpj .exe.mp4"'),
        ("100 %41", "filename=\"100 _41.mp4\"; filename*=UTF-8''100%20%2541.mp4"),
        (" . ", 'filename="export.mp4"'),
        (".hidden", 'filename="hidden.mp4"'),
        ("\x00\u2028", 'filename="export.mp4"'),
    ],
)
def test_a_file_is_named_safely_after_its_title(read, completed, title, name):
    ExportRequest.objects.update(title=title.replace("\x00", "\x01"))
    assert disposition(read().json()["downloadUrl"]) == f"attachment; {name}"


@pytest.mark.parametrize("letter", ["x", "ä", "報", "😀"])
def test_no_name_is_too_long_for_a_disk(letter):
    name = storage.file_name_of(letter * 200, "mp4")
    assert 140 <= len(name.encode()) <= 160
    assert set(name.removesuffix(".mp4")) == {letter}


@pytest.fixture
def region(settings):
    """Lets boto3's clients be made anew, for other settings."""
    yield settings
    aws.s3.cache_clear()


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("eu-central-1", "renderhub-test.s3.eu-central-1.amazonaws.com"),
        ("us-east-1", "renderhub-test.s3.amazonaws.com"),
        ("cn-north-1", "renderhub-test.s3.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_an_address_names_the_host_of_the_buckets_region(region, name, host):
    region.AWS_REGION = name
    aws.s3.cache_clear()
    urls = storage.output_urls(
        bucket_name="renderhub-test", key="renders/x.mp4", file_name="x.mp4", now=timezone.now()
    )
    assert urlsplit(urls.url).netloc == urlsplit(urls.download_url).netloc == host
    assert storage.public_origin() == f"https://{host}"


def test_public_files_have_plain_addresses_that_do_not_end(read, completed, settings):
    settings.OUTPUT_PUBLIC = True
    seen = read().json()
    key = ExportRequest.objects.get().output_key
    assert seen["outputUrl"] == seen["downloadUrl"] == f"https://s3.amazonaws.com/b/{key}"
    assert seen["outputExpiresAt"] is None
    assert storage.public_origin() == "https://renderhub-test.s3.amazonaws.com"

"""One's exports over HTTP: pages, filters, metadata."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from exports import history
from exports.models import Codec, ExportRequest, MetadataPair
from exports.states import Status
from tests.exports.conftest import START


def ask(api, project, **body):
    answer = api.post(f"/api/exports/projects/{project.pk}/export", body, format="json")
    assert answer.status_code == 202, answer.content
    return answer.json()["exportId"]


def listed(api, query: Any = "") -> list[str]:
    """Return the ids of all pages, newest first."""
    query = query if isinstance(query, str) else urlencode(query, doseq=True)
    url, found = f"/api/exports/history?{query}", []
    while url:
        answer = api.get(url)
        assert answer.status_code == 200, answer.content
        found += [row["exportId"] for row in answer.json()["results"]]
        url = answer.json()["next"]
    return found


def problem(api, query):
    answer = api.get(f"/api/exports/history?{query}")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json"), answer.content
    body = answer.json()
    assert body["type"] == "urn:renderhub:problem:invalid-query"
    return {error["parameter"]: error["detail"] for error in body["errors"]}


def at(minutes):
    return (START + timedelta(minutes=minutes)).isoformat()


FILTERS: dict[str, tuple[list[tuple[str, Any]], Any]] = {
    "everything": ([], lambda row: True),
    "a status": ([("status", "failed")], lambda row: row.status == "failed"),
    "statuses": (
        [("status", "failed"), ("status", "cancelled")],
        lambda row: row.status in ("failed", "cancelled"),
    ),
    "statuses with commas": ([("status", "completed,failed")], lambda row: row.status != "cancelled"),
    "all statuses": ([("status", ",".join(Status.values))], lambda row: True),
    "a status that none has": ([("status", "pending")], lambda row: False),
    "a codec": ([("codec", "gif")], lambda row: row.codec == "gif"),
    "a pair": ([("metadata[shop]", "a")], lambda row: row.metadata["shop"] == "a"),
    "a pair whose key is an ORM look-up": ([("metadata[isnull]", "0")], lambda row: True),
    "a pair whose key is a number": ([("metadata[0]", "rare")], lambda row: "0" in row.metadata),
    "two pairs": (
        [("metadata[shop]", "a"), ("metadata[0]", "rare")],
        lambda row: row.metadata["shop"] == "a" and "0" in row.metadata,
    ),
    "a value that none has": ([("metadata[shop]", "c")], lambda row: False),
    "a span": (
        [("createdAfter", at(100)), ("createdBefore", at(200))],
        lambda row: 100 <= (row.created_at - START) / timedelta(minutes=1) < 200,
    ),
    "a pair, a codec, statuses and a span": (
        [
            ("metadata[shop]", "b"),
            ("codec", "h264"),
            ("status", "failed,completed"),
            ("createdAfter", at(30)),
        ],
        lambda row: (
            row.metadata["shop"] == "b"
            and row.codec == "h264"
            and row.status != "cancelled"
            and row.created_at >= START + timedelta(minutes=30)
        ),
    ),
}


@pytest.mark.parametrize("chunks", [(500, 20), (7, 2)], ids=["whole pages", "cut pages"])
@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_lets_through_what_fits_newest_first_on_all_pages(api, many, monkeypatch, name, chunks):
    monkeypatch.setattr(history, "_CHUNK", chunks[0])
    monkeypatch.setattr(history, "_MOST_CHUNKS", chunks[1])
    query, fits = FILTERS[name]
    expected = [str(row.pk) for row in many if fits(row)]
    assert listed(api, [*query, ("pageSize", 30)]) == expected
    assert listed(api, [*query, ("pageSize", 7)]) == expected


def test_by_project(api, many, project):
    expected = [str(row.pk) for row in many if row.project_id == project.pk]
    assert 0 < len(expected) < len(many)
    assert listed(api, {"projectId": project.pk, "pageSize": 100}) == expected


def test_the_way_back_is_the_way_there(api, many):
    pages, url = [], "/api/exports/history?status=completed&codec=h264&pageSize=9"
    while url:
        pages.append(api.get(url).json())
        url = pages[-1]["next"]
    assert len(pages) > 5
    for before, page in zip(pages[-2::-1], pages[:0:-1], strict=True):
        back = api.get(page["previous"]).json()
        assert back["results"] == before["results"]
        assert api.get(back["next"]).json()["results"] == page["results"]
    assert pages[0]["previous"] is None


def test_pages_stay_put_while_new_exports_come_and_old_ones_go(api, many, project, sent):
    first = api.get("/api/exports/history?pageSize=10").json()
    ask(api, project)
    ExportRequest.objects.filter(pk=many[9].pk).delete()
    second = api.get(first["next"]).json()
    assert [row["exportId"] for row in second["results"]] == [str(row.pk) for row in many[10:20]]
    # What came is on the way back; and where that is gone too, there is a way on.
    back = [row["exportId"] for row in api.get(second["previous"]).json()["results"]]
    assert (len(back), back[1:]) == (10, [str(row.pk) for row in many[:9]])
    ExportRequest.objects.filter(pk__gte=many[10].pk).delete()
    gone = api.get(second["previous"]).json()
    assert (gone["results"], gone["previous"]) == ([], None)
    assert api.get(gone["next"]).json()["results"][0]["exportId"] == str(many[11].pk)


def test_an_export_is_found_at_the_very_moment_that_it_shows(api, project, sent):
    made = ask(api, project)
    created = api.get(f"/api/exports/{made}/status").json()["createdAt"]
    assert listed(api, {"createdAfter": created}) == [made]
    assert listed(api, {"createdBefore": created}) == []
    after = (datetime.fromisoformat(created) + timedelta(milliseconds=1)).isoformat()
    assert listed(api, {"createdAfter": after}) == []
    assert listed(api, {"createdBefore": after, "createdAfter": created[:10]}) == [made]


# --- Metadata -----------------------------------------------------------------------------------------------

METADATA = {"isnull": "1", "0": "zero", "contains": "%", "order_id-7": "Ä\n'\"; --", "empty": ""}


def test_metadata_is_shown_and_found_by_each_of_its_pairs(api, project, sent):
    made = ask(api, project, metadata=METADATA)
    ask(api, project)
    ask(api, project, metadata={key: f"{value}." for key, value in METADATA.items()})
    assert api.get(f"/api/exports/{made}/status").json()["metadata"] == METADATA
    assert api.get("/api/exports/history").json()["results"][-1]["metadata"] == METADATA
    assert api.get("/api/exports/history").json()["results"][-2]["metadata"] == {}
    for key, value in METADATA.items():
        assert listed(api, {f"metadata[{key}]": value}) == [made]
    assert listed(api, {f"metadata[{key}]": value for key, value in METADATA.items()}) == [made]
    assert listed(api, {"metadata[isnull]": "True"}) == []


def test_metadata_of_someone_else_finds_nothing(api, project, sent):
    ask(api, project, metadata={"order": "1"})
    other = APIClient()
    other.force_authenticate(User.objects.create_user("eve"))
    assert listed(other, {"metadata[order]": "1"}) == []


def test_an_export_without_metadata_costs_no_further_query(api, project, sent):
    ask(api, project)
    assert not MetadataPair.objects.exists()


@pytest.mark.parametrize(
    ("metadata", "pointer"),
    [
        ([], "/metadata"),
        ("x", "/metadata"),
        (None, "/metadata"),
        ({str(n): "v" for n in range(21)}, "/metadata"),
        ({"a": 1}, "/metadata/a"),
        ({"a": None}, "/metadata/a"),
        ({"a": "v" * 501}, "/metadata/a"),
        ({"": "v"}, "/metadata/"),
        ({"k" * 41: "v"}, "/metadata/" + "k" * 41),
        ({"a.b": "v"}, "/metadata/a.b"),
        ({"a/b": "v"}, "/metadata/a~1b"),
        ({"$set": "v"}, "/metadata/$set"),
        ({"é": "v"}, "/metadata/é"),
        ({"a\n": "v"}, "/metadata/a\n"),
    ],
)
def test_metadata_that_can_not_be_kept_is_refused(api, project, sent, metadata, pointer):
    answer = api.post(f"/api/exports/projects/{project.pk}/export", {"metadata": metadata}, format="json")
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert not ExportRequest.objects.exists()
    assert not MetadataPair.objects.exists()


def test_the_most_that_metadata_holds_is_kept_and_found(api, project, sent):
    pairs = {f"{n:k>40}": "😀" * 500 for n in range(20)}
    made = ask(api, project, metadata=pairs)
    assert listed(api, {f"metadata[{key}]": value for key, value in pairs.items()}) == [made]


# --- Refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "parameter", "says"),
    [
        ("status=done", "status", "pending, processing, completed"),
        ("status=", "status", "pending"),
        ("status=failed,", "status", "pending"),
        ("projectId=7", "projectId", "UUID"),
        ("codec=betamax", "codec", "h264"),
        ("codec=h264&codec=gif", "codec", "more than once"),
        ("metadata[a]=1&metadata[a]=2", "metadata[a]", "more than once"),
        ("metadata[a.b]=1", "metadata[a.b]", "A-Z"),
        ("metadata[]=1", "metadata[]", "A-Z"),
        ("metadata[a]=%00", "metadata[a]", "U+0000"),
        ("metadata=1", "metadata", "no such filter"),
        ("metadata.a=1", "metadata.a", "metadata[key]"),
        ("stauts=failed", "stauts", "there are status"),
        ("createdAfter=yesterday", "createdAfter", "ISO 8601"),
        ("createdAfter=2026-02-30", "createdAfter", "ISO 8601"),
        ("createdBefore=2026-01-02T03:04:05+01:00", "createdBefore", "%2B"),
        ("createdBefore=", "createdBefore", "ISO 8601"),
        ("cursor=x", "cursor", "next or previous"),
        ("cursor=cD0wMWEy", "cursor", "next or previous"),
        ("cursor=b_____________________w", "cursor", "next or previous"),
        ("cursor=é", "cursor", "next or previous"),
        ("pageSize=0", "pageSize", "1 to 100"),
        ("pageSize=101", "pageSize", "1 to 100"),
        ("pageSize=many", "pageSize", "1 to 100"),
        ("pageSize=²", "pageSize", "1 to 100"),
    ],
)
def test_a_query_that_can_not_be_answered_says_what_to_do(api, query, parameter, says):
    errors = problem(api, query)
    assert list(errors) == [parameter]
    assert says in errors[parameter]


def test_all_that_is_wrong_is_told_at_once(api):
    assert set(problem(api, "status=x&codec=y&createdAfter=z")) == {"status", "codec", "createdAfter"}


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1969-01-01"])
def test_moments_far_away_are_moments(api, many, moment):
    both = listed(api, {"createdAfter": moment}), listed(api, {"createdBefore": moment})
    assert sorted(map(len, both)) == [0, len(many)]


# --- Cost ---------------------------------------------------------------------------------------------------

COSTS = {
    "": 2,
    "status=completed": 2,
    "status=completed,failed": 3,
    "codec=h264": 2,
    "metadata[shop]=a": 2,
    "createdAfter=2026-01-02": 2,
    "metadata[shop]=a&codec=h264&status=completed": 6,
}


@pytest.mark.parametrize("query", COSTS)
def test_a_page_is_a_fixed_number_of_queries_that_read_nothing_heavy(user, many, query):
    api = APIClient()
    api.force_authenticate(user)
    for size in (1, 20, 100):
        with CaptureQueriesContext(connection) as captured:
            answer = api.get(f"/api/exports/history?{query}&pageSize={size}")
        assert len(answer.json()["results"]) > 0
        if query.count("=") < 2:
            assert len(captured) == COSTS[query]
        assert len(captured) <= COSTS[query]
        if connection.vendor in ("sqlite", "postgresql"):
            for heavy in ("input_props", "timeline", '"errors"', "serve_url"):
                assert heavy not in str(captured.captured_queries)


def test_every_codec_is_a_filter(api, db):
    for codec in Codec.values:
        assert listed(api, {"codec": codec}) == []

"""What clients send as JSON is kept as it is, or refused, by every database alike."""

import json

import pytest

from exports.models import ExportRequest, Project
from tests.databases.plans import connection

pytestmark = pytest.mark.django_db

KEPT = {
    "a.b": {"c.d": 1, "..": 2},
    "$set": {"$inc": {"$literal": 1}},
    "$ref": "#/$defs/x",
    "refers": {"$ref": "projects", "$id": "7", "inner": [{"$ref": "a", "$id": 1, "$db": "b"}]},
    "": {"": []},
    "_id": {"_id": 1},
    "unicode": "ünïcödé \U0001f3ac \u200f\ufffe",
    "control": "\u0001\t\r\n\u001f",
    "whole": [0, -1, 2**31, 2**53 + 1, -(2**63), 2**63 - 1],
    "fractions": [0.1, -1.5, 1e-7, 1.7976931348623157e-300, 9007199254740993.5],
    "other": [None, True, False, [], {}, "null", "2026-01-02T03:04:05Z", "NaN"],
    "order": {"z": 1, "a": 2, "m": 3},
}

SCHEMA = {
    "$id": "https://example.com/props",
    "$ref": "#/$defs/props",
    "$defs": {"props": {"type": "object", "properties": {"a.b": {"$ref": "#/$defs/any"}}}, "any": {}},
}


@pytest.fixture
def deep():
    value: object = "bottom"
    for _ in range(30):
        value = {"a": value}
    return value


def test_props_come_back_as_they_were_sent(api, project, sent, outputs, deep):
    props = {**KEPT, "deep": deep}
    made = api.post(
        "/api/projects", {"title": "Odd", "compositionId": "M", "inputProps": props, "propsSchema": SCHEMA}
    )
    assert made.status_code == 201, made.content
    url = f"/api/projects/{made.json()['projectId']}"
    found = api.get(url)
    assert found.status_code == 200, found.content
    assert found.json()["inputProps"] == props
    assert api.get(url).json()["propsSchema"] == SCHEMA
    changed = {**props, "order": {"$unset": 1}}
    assert api.patch(url, {"inputProps": changed}).json()["inputProps"] == changed
    assert api.get(url).json()["inputProps"] == changed
    answer = api.post(
        f"/api/exports/projects/{made.json()['projectId']}/export", {"inputProps": {"more.": KEPT}}
    )
    assert answer.status_code == 202, answer.content
    export = ExportRequest.objects.get(pk=answer.json()["exportId"])
    assert export.input_props == {**changed, "more.": KEPT}
    assert json.loads(json.dumps(sent.messages[-1].render_config.input_props)) == export.input_props


@pytest.mark.parametrize(
    "value",
    [
        "9223372036854775808",
        "-9223372036854775809",
        "1e30",
        "-1e300",
        "1e999",
        "NaN",
        '"\\u0000"',
        '{"\\u0000": 1}',
        '"\\ud800"',
    ],
)
def test_what_not_every_database_keeps_is_refused_by_all(api, project, sent, value):
    body = f'{{"inputProps": {{"title": {value}}}}}'
    for method, url in (
        ("POST", f"/api/exports/projects/{project.pk}/export"),
        ("PATCH", f"/api/projects/{project.pk}"),
    ):
        answer = api.generic(method, url, body, content_type="application/json")
        assert answer.status_code == 400, answer.content
        problem = answer.json()
        assert len(problem["detail"]) > 20
        assert not problem["detail"].startswith("Traceback")
    assert Project.objects.get().input_props == {"title": "Hello"}
    assert not ExportRequest.objects.exists()
    assert connection.is_usable()

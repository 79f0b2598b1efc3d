"""What the API refuses: with which status and type, and that nothing is recorded or sent."""

import json
import uuid

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from rest_framework_simplejwt.tokens import AccessToken

from exports.models import ExportRequest, Project
from tests.conftest import NOW


@pytest.fixture(autouse=True)
def _nothing_happens(db, sent, sites):
    sites[settings.REMOTION_SERVE_URL] = frozenset({"MainComposition"})
    yield
    assert ExportRequest.objects.count() == 0
    assert sent.messages == []


def order(api, project, body, content_type="application/json"):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return api.generic("POST", f"/api/exports/projects/{project.pk}/export", content, content_type)


def check(answer, status, kind, *pointers):
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["type"], problem["status"]) == (f"urn:renderhub:problem:{kind}", status)
    assert problem["detail"]
    if pointers:
        assert [error["pointer"] for error in problem["errors"]] == list(pointers)
    return problem


def nested(depth):
    value: dict[str, object] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"compositionId": "MainCompositon"}, "/compositionId"),
        ({"compositionId": ""}, "/compositionId"),
        ({"compositionId": 7}, "/compositionId"),
        ({"compositionId": None}, "/compositionId"),
        ({"compositionId": "x" * 201}, "/compositionId"),
        ({"codec": "betamax"}, "/codec"),
        ({"codec": ["h264"]}, "/codec"),
        ({"inputProps": {"title": 7}}, "/inputProps/title"),
        ({"inputProps": {"title": "x" * 21}}, "/inputProps/title"),
        ({"inputProps": {"unknown": 1}}, "/inputProps"),
        ({"inputProps": []}, "/inputProps"),
        ({"inputProps": "{}"}, "/inputProps"),
        ({"inputProps": None}, "/inputProps"),
        ({"inputprops": {}}, "/inputprops"),
        ({"a/b~c": {}}, "/a~1b~0c"),
        ([], ""),
        ([{}], ""),
        ("text", ""),
        (7, ""),
        (None, ""),
    ],
)
def test_a_body_that_is_not_what_the_call_takes_is_named_by_its_pointer(api, project, body, pointer):
    check(order(api, project, body), 400, "invalid", pointer)


def test_props_that_grow_when_they_are_escaped_are_told_so(api, project):
    problem = check(order(api, project, {"inputProps": {"title": '"' * 90_000}}), 413, "props-too-large")
    assert "once they are a string in JSON" in problem["detail"]


def test_props_that_are_too_large_alone_or_with_the_projects_are_refused(api, project):
    props = {"inputProps": {"title": "x" * 190_000}}
    assert "these are 190,012" in check(order(api, project, props), 413, "props-too-large")["detail"]
    Project.objects.update(input_props={"other": "x" * 100_000})
    check(order(api, project, {"inputProps": {"title": "x" * 100_000}}), 413, "props-too-large")


def test_props_that_are_nested_too_deeply_are_refused(api, project):
    check(order(api, project, {"inputProps": nested(32)}), 422, "props-too-deep")


def test_every_error_in_the_props_is_told_with_its_place(api, project):
    item = {"type": "object", "required": ["label"], "properties": {"value": {"type": "number"}}}
    properties = {"a/b": {"type": "integer"}, "rows": {"type": "array", "items": item}}
    Project.objects.update(props_schema={"properties": properties})
    props = {"a/b": "x", "rows": [{"label": "a", "value": "x"}, {"value": 1}]}
    problem = check(order(api, project, {"inputProps": props}), 400, "invalid")
    assert {error["pointer"] for error in problem["errors"]} == {
        "/inputProps/a~1b",
        "/inputProps/rows/0/value",
        "/inputProps/rows/1",
    }


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b" ",
        b"{'title': 1}",
        b"\xff",
        b"\xef\xbb\xbf{}",
        '{"inputProps": {"title": "ü"}}'.encode("latin-1"),
        b'{"inputProps": {"title": NaN}}',
        b'{"inputProps": {"title": -Infinity}}',
        b'{"inputProps": {"title": 1e999}}',
        b'{"inputProps": {"title": 9223372036854775808}}',
        b'{"inputProps": {"title": ' + b"1" * 100_000 + b"}}",
        b'{"codec": "h264", "codec": "vp9"}',
        b'{"inputProps": {"title": {"a": 1, "a": 1}}}',
        b'{"inputProps": {"title": {"\\ud800": 1, "\\ud800": 1}}}',
        b'{"inputProps": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_a_body_that_is_no_json_is_refused(api, project, body):
    check(order(api, project, body), 400, "parse-error")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"inputProps": {"title": "a\\u0000b"}}', "/inputProps/title"),
        (b'{"inputProps": {"title": "\\ud83d"}}', "/inputProps/title"),
        (b'{"inputProps": {"title": ["ok", "\\udc00"]}}', "/inputProps/title/1"),
        (b'{"inputProps": {"a\\u0000": 1}}', "/inputProps/a\0"),
        (b'{"inputProps": {"\\ud800": 1}}', "/inputProps/?"),
        (b'{"compositionId": "\\u0000"}', "/compositionId"),
        (b'"\\u0000"', ""),
    ],
)
def test_text_that_cannot_be_stored_is_refused(api, project, body, pointer):
    check(order(api, project, body), 400, "invalid", pointer)


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"],
)
def test_a_body_of_another_media_type_is_refused(api, project, content_type):
    check(order(api, project, b"codec=vp9", content_type), 415, "unsupported-media-type")


def test_a_body_beyond_the_limit_is_refused(api, project):
    body = b" " * settings.MAX_BODY_BYTES + b"{}"
    check(order(api, project, body), 413, "body-too-large")


def test_a_body_of_undeclared_length_is_refused_rather_than_taken_for_empty(api, project):
    path = f"/api/exports/projects/{project.pk}/export"
    answer = api.generic("POST", path, b"", "application/json", headers={"Transfer-Encoding": "chunked"})
    check(answer, 411, "length-required")


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"$ref": "#/nowhere"},
        {"properties": {"title": {"pattern": "("}}},
        {"allOf": [{"$ref": "#"}]},
    ],
)
def test_a_schema_that_cannot_be_applied_refuses_the_export(api, project, schema):
    Project.objects.update(props_schema=schema)
    problem = check(order(api, project, {}), 400, "invalid", "/inputProps")
    assert "must be mended first" in problem["errors"][0]["detail"]


# --- Whose project ------------------------------------------------------------------------------------------


def test_a_project_of_someone_else_does_not_exist(api, project):
    Project.objects.update(user=User.objects.create_user("eve"))
    check(order(api, project, {}), 404, "not-found")


@pytest.mark.parametrize("key", [uuid.UUID(int=0), uuid.uuid4(), "7", "not-a-uuid", "%00"])
def test_a_project_that_is_none_is_not_found(api, key):
    check(api.post(f"/api/exports/projects/{key}/export", {}), 404, "not-found")


@pytest.mark.parametrize("key", [uuid.UUID(int=0), "7", "not-a-uuid", "%00", "x" * 300])
@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_the_same_holds_of_the_projects_own_address(api, method, key):
    check(getattr(api, method)(f"/api/projects/{key}"), 404, "not-found")


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_a_wrong_method_is_refused(api, project, method):
    path = f"/api/exports/projects/{project.pk}/export"
    check(getattr(api, method)(path), 405, "method-not-allowed")


def test_a_wrong_method_of_the_webhook_is_refused(api):
    check(api.get("/api/exports/webhook"), 405, "method-not-allowed")


# --- Who asks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (None, "not-authenticated"),
        ("Basic YWRhOnBhc3M=", "not-authenticated"),
        ("Bearer", "bad-authorization-header"),
        ("Bearer one two", "bad-authorization-header"),
        ("Bearer nonsense", "token-not-valid"),
        ("Bearer eyJhbGciOiJub25lIn0.eyJ1c2VyX2lkIjoxfQ.", "token-not-valid"),
        ("Bearer \xfc", "token-not-valid"),
    ],
)
def test_without_a_valid_token_nothing_is_taken(client, project, header, kind):
    headers = {} if header is None else {"Authorization": header}
    answer = client.post(
        f"/api/exports/projects/{project.pk}/export", {}, "application/json", headers=headers
    )
    check(answer, 401, kind)
    assert answer["WWW-Authenticate"].startswith("Bearer")


def with_token(token, project):
    headers = {"Authorization": f"Bearer {token}"}
    path = f"/api/exports/projects/{project.pk}/export"
    return Client().post(path, {}, "application/json", headers=headers)


def test_an_expired_token_is_refused(user, project, time_machine):
    time_machine.move_to(NOW)
    token = AccessToken.for_user(user)
    time_machine.shift(token.lifetime.total_seconds() + 1)
    problem = check(with_token(token, project), 401, "token-not-valid")
    assert "/api/auth/token/refresh" in problem["detail"]


def test_the_token_of_a_user_who_is_gone_or_inactive_is_refused(user, project):
    token = AccessToken.for_user(user)
    User.objects.update(is_active=False)
    check(with_token(token, project), 401, "user-inactive")
    owner = User.objects.create_user("eve")
    Project.objects.update(user=owner)
    user.delete()
    check(with_token(token, project), 401, "user-not-found")


def test_a_session_needs_its_csrf_token(user, project):
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    answer = client.post(f"/api/exports/projects/{project.pk}/export", {}, "application/json")
    check(answer, 403, "permission-denied")


def test_a_refresh_token_is_of_no_use_once_used_or_without_its_user(client, api, user):
    pair = {"username": "ada", "password": "pass-word-1"}
    tokens = client.post("/api/auth/token", pair, "application/json").json()
    path = "/api/auth/token/refresh"
    body = {"refresh": tokens["refresh"]}
    second = client.post(path, body, "application/json").json()
    check(client.post(path, body, "application/json"), 401, "token-not-valid")
    user.delete()
    check(client.post(path, {"refresh": second["refresh"]}, "application/json"), 401, "token-not-valid")


# --- Projects -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"propsSchema": nested(64)}, "/propsSchema"),
        ({"propsSchema": {"$ref": "#", "$dynamicRef": "https://example.com"}}, "/propsSchema"),
        ({"propsSchema": {"type": "nonsense"}}, "/propsSchema"),
        ({"propsSchema": {"$ref": "#/nowhere"}}, "/propsSchema"),
        ({"propsSchema": {"$ref": "#"}}, "/propsSchema"),
        ({"propsSchema": {"properties": {"title": {"pattern": "("}}}}, "/propsSchema"),
        ({"compositionId": "Nope"}, "/compositionId"),
        ({"title": ""}, "/title"),
        ({"title": "x" * 201}, "/title"),
        ({"owner": 1}, "/owner"),
    ],
)
def test_a_project_that_no_export_could_use_is_refused(api, project, body, pointer):
    new = {"title": "T", "compositionId": "MainComposition", **body}
    check(api.post("/api/projects", new), 400, "invalid", pointer)
    check(api.patch(f"/api/projects/{project.pk}", body), 400, "invalid", pointer)
    assert Project.objects.count() == 1


@pytest.mark.parametrize(
    ("props", "status", "kind"),
    [(nested(32), 422, "props-too-deep"), ({"a": "x" * 190_000}, 413, "props-too-large")],
)
def test_a_project_whose_props_are_beyond_the_limits_is_refused(api, project, props, status, kind):
    check(api.post("/api/projects", {"title": "T", "compositionId": "M", "inputProps": props}), status, kind)
    check(api.patch(f"/api/projects/{project.pk}", {"inputProps": props}), status, kind)

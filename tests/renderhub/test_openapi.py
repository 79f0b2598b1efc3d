import json
import re
from typing import Any

import pytest
import yaml
from django.conf import settings
from drf_spectacular.generators import SchemaGenerator
from jsonschema_rs import Draft202012Validator

from exports.models import ExportRequest
from tests.lambda_worker import golden
from tests.routes import routes


@pytest.fixture(scope="module")
def schema() -> Any:
    """The description as the server gives it."""
    return json.loads(json.dumps(SchemaGenerator().get_schema(public=True)))


def test_the_committed_schema_is_what_the_code_says(schema):
    committed = yaml.safe_load((settings.BASE_DIR / "docs/openapi.yaml").read_text())
    assert committed == schema, "make schema writes docs/openapi.yaml anew"


def test_every_route_of_the_api_is_described(schema):
    found = {re.sub(r"_id}", "Id}", route.path) for route in routes() if route.path.startswith("/api/")}
    # Those that describe the API; the last of all answers for what isn't there.
    assert found - {"/api/", "/api/schema", "/api/docs"} <= set(schema["paths"])


def operations(schema):
    return [
        (path, method, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_call_has_a_summary_a_tag_and_its_refusals(schema):
    for path, method, operation in operations(schema):
        assert operation["summary"], (path, method)
        assert operation["tags"][0] in {tag["name"] for tag in schema["tags"]}
        statuses = set(operation["responses"])
        assert "401" in statuses, path
        assert "404" in statuses or "{" not in path, path
        assert {"400", "413"} <= statuses or "requestBody" not in operation, path


def test_every_refusal_is_a_problem(schema):
    for path, _, operation in operations(schema):
        for status, response in operation["responses"].items():
            if status < "400":
                continue
            name = response.get("$ref", "").rpartition("/")[2]
            content = (schema["components"]["responses"][name] if name else response)["content"]
            assert list(content) == ["application/problem+json"], (path, status)


def test_the_names_of_calls_are_unique(schema):
    names = [operation["operationId"] for _, _, operation in operations(schema)]
    assert len(set(names)) == len(names)


def as_json_schema(value):
    """Turn what OpenAPI 3.0 says differently from JSON Schema into the latter."""
    if isinstance(value, list):
        return [as_json_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: as_json_schema(item) for key, item in value.items() if key != "nullable"}
    if result.get("type") == "object" and "properties" in result:
        result.setdefault("additionalProperties", False)
    return {"anyOf": [result, {"type": "null"}]} if value.get("nullable") is True else result


def bodies(schema):
    """Yield each body that a call takes or answers, with where it stands."""
    for path, method, operation in operations(schema):
        parts = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for name, part in parts.items():
            if "$ref" in part:
                part = schema["components"]["responses"][part["$ref"].rpartition("/")[2]]
            for media_type, body in part.get("content", {}).items():
                yield f"{method} {path} {name} {media_type}", body


def test_every_body_has_examples_that_fit_it(schema):
    for place, body in bodies(schema):
        examples = [each["value"] for each in body.get("examples", {}).values()]
        examples += [body["example"]] if "example" in body else []
        assert examples, place
        model = as_json_schema({**body["schema"], "components": {"schemas": schema["components"]["schemas"]}})
        for example in examples:
            error = next(Draft202012Validator(model).iter_errors(example), None)
            assert error is None, (place, error and error.message, example)


def test_the_examples_of_webhooks_are_the_golden_ones(schema):
    content = schema["paths"]["/api/exports/webhook"]["post"]["requestBody"]["content"]["application/json"]
    names = {path.stem for path in golden.GOLDEN.iterdir()}
    assert {name: each["value"] for name, each in content["examples"].items()} == {
        name: golden.load(name) for name in names if name.startswith(("render_", "remotion_"))
    }


def test_every_parameter_is_described(schema):
    for path, method, operation in operations(schema):
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), (path, method, parameter["name"])


@pytest.fixture
def check(schema):
    """Checks a real answer against what the description says of it; unknown members fail too."""

    def check(answer, path, method):
        responses = schema["paths"][path][method]["responses"]
        response = responses[str(answer.status_code)]
        if "$ref" in response:
            response = schema["components"]["responses"][response["$ref"].rpartition("/")[2]]
        media_type = answer["Content-Type"].partition(";")[0]
        model = response["content"][media_type]["schema"]
        Draft202012Validator(
            as_json_schema({**model, "components": {"schemas": schema["components"]["schemas"]}})
        ).validate(answer.json())
        return answer

    return check


def test_real_answers_are_as_described(check, api, client, project, export, user):
    status = "/api/exports/{exportId}/status"
    check(api.get("/api/projects"), "/api/projects", "get")
    check(api.get(f"/api/projects/{project.pk}"), "/api/projects/{projectId}", "get")
    body = {"title": "T", "compositionId": "M"}
    check(api.post("/api/projects", body), "/api/projects", "post")
    check(api.patch(f"/api/projects/{project.pk}", {"title": "U"}), "/api/projects/{projectId}", "patch")
    path = f"/api/exports/projects/{project.pk}/export"
    check(api.post(path, {}), "/api/exports/projects/{projectId}/export", "post")
    check(api.get(f"/api/exports/{export.pk}/status"), status, "get")
    ExportRequest.objects.filter(pk=export.pk).update(
        status="failed", errors=[{"message": "m", "stack": "s"}], error_message="m", render_id="r"
    )
    check(api.get(f"/api/exports/{export.pk}/status"), status, "get")
    ExportRequest.objects.filter(pk=export.pk).update(status="completed", output_key="k", bucket_name="b")
    check(api.get(f"/api/exports/{export.pk}/status"), status, "get")
    check(api.get(f"/api/exports/{export.pk}/events"), "/api/exports/{exportId}/events", "get")
    check(api.get("/api/exports/history"), "/api/exports/history", "get")
    tokens = {"username": "ada", "password": "pass-word-1"}
    pair = check(client.post("/api/auth/token", tokens, "application/json"), "/api/auth/token", "post")
    refresh = {"refresh": pair.json()["refresh"]}
    path = "/api/auth/token/refresh"
    pair = check(client.post(path, refresh, "application/json"), path, "post")
    path = "/api/auth/token/blacklist"
    refresh = {"refresh": pair.json()["refresh"]}
    check(client.post(path, refresh, "application/json"), path, "post")


def test_real_refusals_are_as_described(check, api, client, project, export):
    order = "/api/exports/projects/{projectId}/export"
    path = f"/api/exports/projects/{project.pk}/export"
    check(api.post(path, {"codec": "betamax"}), order, "post")
    check(api.post(path, "x", content_type="text/plain"), order, "post")
    check(client.post(path, {}), order, "post")
    check(api.post(path.replace("0", "1"), {}), order, "post")
    check(api.post(f"/api/exports/{export.pk}/retry"), "/api/exports/{exportId}/retry", "post")
    check(api.delete(f"/api/projects/{project.pk}"), "/api/projects/{projectId}", "delete")
    check(client.post("/api/auth/token", {}, "application/json"), "/api/auth/token", "post")
    wrong = {"username": "ada", "password": "no"}
    check(client.post("/api/auth/token", wrong, "application/json"), "/api/auth/token", "post")
    path = "/api/auth/token/refresh"
    check(client.post(path, {"refresh": "x"}, "application/json"), path, "post")
    check(client.post("/api/exports/webhook", {}, "application/json"), "/api/exports/webhook", "post")


def test_the_schema_and_its_page_are_served_without_a_sign_in(client, db):
    answer = client.get("/api/schema", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["openapi"]) == (200, "3.0.3")
    page = client.get("/api/docs").content.decode()
    assert "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js" in page
    assert "http://" not in page
    assert "https://" not in page

"""The API's side of the golden files; the worker's tests read the same ones."""

import json
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from exports import services
from exports.models import ExportRequest, Project, Render
from lambda_worker import contract, signing
from tests.conftest import FakeQueue, post_webhook
from tests.lambda_worker import golden

STARTED = golden.load("render_started")
PROGRESS = golden.load("render_progress")
POLL = golden.load("poll")
CLAIMED = {"status": "processing", "start_token": STARTED["token"]}
RUNNING = {**CLAIMED, "render_id": PROGRESS["renderId"], "bucket_name": PROGRESS["bucketName"]}


@pytest.fixture
def project(user: User) -> Project:
    config = golden.load("start")["renderConfig"]
    return Project.objects.create(
        user=user,
        title="Golden",
        composition_id=config["compositionId"],
        serve_url=config["serveUrl"],
        codec=config["codec"],
        input_props=config["inputProps"],
    )


def put(project: Project, **fields: object) -> ExportRequest:
    """Record the golden files' export as it stands before one of them comes."""
    now = timezone.now()
    values = {
        "status": "pending",
        "version": STARTED["version"],
        "composition_id": project.composition_id,
        "serve_url": project.serve_url,
        "codec": project.codec,
        "created_at": now,
        "queued_at": now,
        "updated_at": now,
        "started_at": None if fields.get("status", "pending") == "pending" else now,
        **fields,
    }
    return ExportRequest.objects.create(
        id=STARTED["exportId"], project=project, user_id=project.user_id, **values
    )


def post(client, name):
    if name.startswith("remotion_"):
        body = golden.read(name)
        return post_webhook(
            client, body, signing.sign(body, secret="old-secret", scheme=signing.Scheme.REMOTION)
        )
    body = json.dumps({**golden.load(name), "timestamp": time.time()}).encode()
    return post_webhook(client, body, signing.sign(body, secret="new-secret"))


COMPOSITION_MISSING = (
    "Could not find composition with ID MainCompositon. Available compositions: MainComposition"
)


@pytest.mark.parametrize(
    ("name", "before", "answer", "after"),
    [
        ("render_started", {}, "render", CLAIMED),
        ("render_started", CLAIMED, "render", CLAIMED),
        ("render_started", {**CLAIMED, "start_token": "other"}, "skip", {"start_token": "other"}),
        ("render_started", {"status": "cancelled"}, "skip", {"status": "cancelled"}),
        ("render_progress_first", CLAIMED, "keep", RUNNING),
        ("render_progress_first", RUNNING, "keep", RUNNING),
        ("render_progress_first", {}, "cancel", {"status": "pending", "render_id": None}),
        ("render_progress", RUNNING, "none", {"progress": PROGRESS["progress"]}),
        ("render_throttled", CLAIMED, "none", {"status": "processing", "start_token": None}),
        ("render_success", RUNNING, "none", {"status": "completed", "output_size_bytes": 1_234_567}),
        (
            "render_error",
            RUNNING,
            "none",
            {"status": "failed", "error_message": "Cannot read properties of undefined (reading '{')"},
        ),
        ("render_error_at_start", CLAIMED, "none", {"status": "failed", "error_code": "function_missing"}),
        ("render_timeout", RUNNING, "none", {"status": "failed", "error_code": "timeout"}),
        ("remotion_success", RUNNING, "none", {"status": "completed", "output_size_bytes": 321}),
        # Its end may come before the worker's first report.
        ("remotion_success", CLAIMED, "none", {"status": "completed", "render_id": PROGRESS["renderId"]}),
        (
            "remotion_error",
            RUNNING,
            "none",
            {
                "status": "failed",
                "error_code": "composition_not_found",
                "error_message": COMPOSITION_MISSING,
            },
        ),
        ("remotion_timeout", RUNNING, "none", {"status": "failed", "error_code": "timeout"}),
    ],
)
def test_a_golden_webhook_leads_to_its_state_and_its_golden_answer(
    client, project, outputs, name, before, answer, after
):
    export = put(project, **before)
    outputs[contract.output_key(export_id=str(export.pk), attempt=1, codec="h264")] = 321
    answered = post(client, name)
    assert answered.status_code == 200, answered.content
    assert answered.json() == golden.load(f"answer_{answer}")
    row = ExportRequest.objects.get()
    assert {field: getattr(row, field) for field in after} == after


@pytest.mark.parametrize("name", ["render_success", "remotion_success"])
def test_what_a_golden_render_cost_is_kept(client, project, outputs, name):
    put(project, **RUNNING)
    post(client, name)
    assert float(Render.objects.get().cost_usd) == 0.00316


def test_every_golden_webhook_is_posted_here():
    marks = test_a_golden_webhook_leads_to_its_state_and_its_golden_answer.pytestmark
    posted = {case[0] for mark in marks for case in mark.args[1]}
    names = {path.stem for path in golden.GOLDEN.iterdir()}
    assert posted == {name for name in names if name.startswith(("render_", "remotion_"))}


def message(sent: FakeQueue, **ours: object) -> dict[str, Any]:
    """Return the one message as it goes over the wire, with the golden file's ids."""
    [only] = sent.messages
    return {**json.loads(contract.dump_message(only)), **ours}


@pytest.fixture(autouse=True)
def _at_the_golden_address(settings):
    settings.API_BASE_URL = "https://renderhub.example.com"


def test_the_start_message_of_an_export_is_the_golden_one(api, project, sent):
    assert api.post(f"/api/exports/projects/{project.pk}/export", {}).status_code == 202
    expected = golden.load("start")
    ours = {name: expected[name] for name in ("exportId", "projectId", "userId", "version")}
    assert message(sent, **ours) == expected


@pytest.mark.parametrize(("name", "frame"), [("start_options", None), ("start_still", -1)])
def test_a_start_message_says_how_to_render_as_the_golden_one_does(api, project, sent, name, frame):
    expected = golden.load(name)
    config = expected["renderConfig"]
    body = {"codec": config["codec"], "renderOptions": config["renderOptions"]}
    answer = api.post(
        f"/api/exports/projects/{project.pk}/export", body if frame is None else {**body, "frame": frame}
    )
    assert answer.status_code == 202, answer.content
    ours = {each: expected[each] for each in ("exportId", "projectId", "userId", "version")}
    said = message(sent, **ours)
    said["renderConfig"]["inputProps"] = config["inputProps"]
    assert said == expected


def test_the_poll_message_of_an_export_is_the_golden_one(project):
    queue, now = FakeQueue(), timezone.now()
    put(project, **RUNNING, due_at=now)
    services.handle_due(queue=queue, now=now)
    ours = {name: POLL[name] for name in ("projectId", "userId", "version")}
    assert message(queue, **ours) == POLL

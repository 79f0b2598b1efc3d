"""The life of an export as a product: every state of its row, and every event that can meet it."""

from typing import Any, Final

import pytest

from exports.models import ExportRequest
from exports.states import Status
from lambda_worker.contract import (
    RenderError,
    RenderFailure,
    RenderProgress,
    RenderStarted,
    RenderSuccess,
    RenderThrottled,
    RenderTimeout,
)

STATES: Final[dict[str, dict[str, Any]]] = {
    # A row of a batch that isn't committed: for everybody, there is no such export.
    "staged": {"status": "staged", "slot": None, "user_slot": None, "due_at": None},
    "pending": {"status": "pending"},
    "claimed": {"status": "processing", "start_token": "t1"},
    "put off": {"status": "processing"},
    "rendering": {"status": "processing", "start_token": "t1", "render_id": "r1", "progress": 0.2},
    "completed": {"status": "completed", "start_token": "t1", "render_id": "r1", "progress": 1.0},
    "failed": {"status": "failed", "start_token": "t1", "render_id": "r1"},
    "cancelled": {"status": "cancelled", "start_token": "t1", "render_id": "r1"},
}

LEGAL: Final = {
    ("pending", "claim"): "processing",
    ("put off", "claim"): "processing",
    ("claimed", "first report"): "processing",
    ("claimed", "throttled"): "processing",
    ("rendering", "progress"): "processing",
    # An end counts from the known render, or where none is known yet.
    **{(state, "success"): "completed" for state in ("claimed", "put off", "rendering")},
    **{(state, "fatal error"): "failed" for state in ("claimed", "put off", "rendering")},
    **{(state, "passing error"): "pending" for state in ("claimed", "put off", "rendering")},
    **{(state, "timeout"): "failed" for state in ("claimed", "put off", "rendering")},
    ("failed", "retry"): "pending",
    ("cancelled", "retry"): "pending",
}
"""What each event that counts leads to. All others change nothing."""


def happen(event: str, export: ExportRequest, *, report: Any, api: Any) -> None:
    about: dict[str, Any] = {"export_id": str(export.pk), "attempt": 1}
    render: dict[str, Any] = {**about, "render_id": "r1", "bucket_name": "b"}

    def error(message: str) -> RenderError:
        return RenderError(**render, errors=(RenderFailure(message=message, stack=""),))

    webhooks = {
        "claim": RenderStarted(**about, token="t1", version=export.version),
        "claim of another": RenderStarted(**about, token="t2", version=export.version - 1),
        "first report": RenderProgress(**render, token="t1", progress=0.0),
        "progress": RenderProgress(**render, progress=0.5),
        "progress of another render": RenderProgress(**{**render, "render_id": "r2"}, progress=0.9),
        "throttled": RenderThrottled(**about, token="t1", reason="busy"),
        "success": RenderSuccess(**render, output_size_bytes=1),
        "fatal error": error("The composition threw"),
        "passing error": error("Target closed"),
        "timeout": RenderTimeout(**render),
        "success of another attempt": RenderSuccess(**{**render, "attempt": 2}),
        "error of another attempt": RenderError(**{**render, "attempt": 2}, errors=()),
    }
    if event == "retry":
        answer = api.post(f"/api/exports/{export.pk}/retry")
        assert answer.status_code == (
            404 if export.status == Status.STAGED else 202 if (export.status, event) in LEGAL else 409
        )
    else:
        answer = report(webhooks[event])
        assert answer.status_code == (404 if export.status == Status.STAGED else 200)


EVENTS: Final = [
    "claim",
    "claim of another",
    "first report",
    "progress",
    "progress of another render",
    "throttled",
    "success",
    "fatal error",
    "passing error",
    "timeout",
    "success of another attempt",
    "error of another attempt",
    "retry",
]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("state", STATES)
def test_every_event_in_every_state_moves_the_export_as_the_table_says(state, event, export, report, api):
    ExportRequest.objects.update(**{"version": 5, **STATES[state]})
    before = ExportRequest.objects.values().get()
    happen(event, ExportRequest.objects.get(), report=report, api=api)
    after = ExportRequest.objects.values().get()
    if (state, event) not in LEGAL:
        assert after == before
        return
    assert after["status"] == LEGAL[state, event]
    moved = event != "progress"
    assert after["version"] == before["version"] + moved
    assert len(after["timeline"]) == len(before["timeline"]) + moved
    assert after["attempt"] == before["attempt"] + (after["status"] == Status.PENDING)


def test_every_state_of_a_row_is_met():
    assert {row["status"] for row in STATES.values()} == set(Status)

"""One export as each answer shows it, for the API's description."""

from typing import Any, Final

_EXPORT_ID: Final = "01936f5e-7b8a-7c3d-9e2f-4a5b6c7d8e9f"
_PROJECT_ID: Final = "01936f5d-1a2b-7c3d-8e4f-5a6b7c8d9e0f"

_ABOUT: Final = {
    "exportId": _EXPORT_ID,
    "projectId": _PROJECT_ID,
    "title": "Quarterly figures",
    "compositionId": "MainComposition",
    "codec": "h264",
}

STATUS: Final[dict[str, Any]] = {
    **_ABOUT,
    "userId": "7",
    "frame": None,
    "renderOptions": {"crf": 18},
    "metadata": {"orderId": "6735"},
    "status": "completed",
    "progress": 1.0,
    "etaSeconds": None,
    "queuePosition": None,
    "queueMessageId": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "renderId": "8hfxlw5kz1",
    "bucketName": "remotionlambda-renderhub-123456789012-eu-central-1",
    "outputUrl": "https://s3.example.com/renders/export-01936f5e-7b8a-7c3d-9e2f-4a5b6c7d8e9f.mp4?X-Amz-…",
    "downloadUrl": "https://s3.example.com/renders/export-01936f5e-7b8a-7c3d-9e2f-4a5b6c7d8e9f.mp4?respon…",
    "outputExpiresAt": "2026-01-02T04:05:04.000Z",
    "outputSizeBytes": 1_234_567,
    "errorMessage": None,
    "errors": [],
    "retryable": False,
    "attempt": 1,
    "cost": {
        "amount": "0.00408",
        "currency": "USD",
        "estimated": "0",
        "parts": {
            "remotion": "0.00316",
            "worker": "0.00000478",
            "queue": "0.0000012",
            "storage": "0.00002838",
            "transfer": "0.00088564",
        },
    },
    "createdAt": "2026-01-02T03:04:05.678Z",
    "startedAt": "2026-01-02T03:04:06.001Z",
    "completedAt": "2026-01-02T03:04:31.512Z",
    "updatedAt": "2026-01-02T03:04:31.512Z",
    "version": 4,
}

ITEM: Final = {
    **_ABOUT,
    "status": "completed",
    "progress": 1.0,
    "attempt": 1,
    "errorMessage": "",
    "outputSizeBytes": 1_234_567,
    "createdAt": "2026-01-02T03:04:05.678000Z",
    "completedAt": "2026-01-02T03:04:31.512000Z",
    "version": 4,
    "metadata": {"orderId": "6735"},
}

TIMELINE: Final = {
    "events": [
        {"at": "2026-01-02T03:04:05.678+00:00", "type": "created", "status": "pending", "attempt": 1},
        {"at": "2026-01-02T03:04:06.001+00:00", "type": "claimed", "status": "processing", "attempt": 1},
    ]
}

ACCEPTED: Final = {
    "exportId": _EXPORT_ID,
    "status": "pending",
    "queueMessageId": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "queuePosition": None,
    "attempt": 1,
    "createdAt": "2026-01-02T03:04:05.678000Z",
}

CANCELLED: Final = {
    "exportId": _EXPORT_ID,
    "status": "cancelled",
    "attempt": 1,
    "render": "not_started",
    "detail": "No render had been started.",
}

PROJECT: Final = {
    "projectId": _PROJECT_ID,
    "title": "Quarterly figures",
    "compositionId": "MainComposition",
    "serveUrl": "",
    "codec": "h264",
    "inputProps": {"title": "Q3"},
    "propsSchema": {"type": "object", "properties": {"title": {"type": "string", "maxLength": 80}}},
    "createdAt": "2026-01-02T03:00:00.000000Z",
    "updatedAt": "2026-01-02T03:00:00.000000Z",
}

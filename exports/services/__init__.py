"""Every change of an export. Views, webhooks, the admin, commands and the sweeper call these alone."""

from exports.services.dead_letters import handle_dead_letters
from exports.services.line import admit
from exports.services.moves import ExportNotFoundError
from exports.services.quotas import QuotaExceededError, check_quota
from exports.services.repairs import (
    delete_expired_outputs,
    handle_due,
    mend_line,
    notify_left_over,
)
from exports.services.reports import (
    accept_render,
    claim_render,
    complete_export,
    fail_render,
    keep_worker_use,
    put_off_start,
    record_progress,
)
from exports.services.requests import (
    Stopping,
    WrongStatusError,
    cancel_export,
    create_export,
    delete_export,
    pause_renders,
    resume_renders,
    retry_export,
)

__all__ = [
    "ExportNotFoundError",
    "QuotaExceededError",
    "Stopping",
    "WrongStatusError",
    "accept_render",
    "admit",
    "cancel_export",
    "check_quota",
    "claim_render",
    "complete_export",
    "create_export",
    "delete_expired_outputs",
    "delete_export",
    "fail_render",
    "handle_dead_letters",
    "handle_due",
    "keep_worker_use",
    "mend_line",
    "notify_left_over",
    "pause_renders",
    "put_off_start",
    "record_progress",
    "resume_renders",
    "retry_export",
]

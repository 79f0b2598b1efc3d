"""Every change of an export. Views, webhooks, the admin, commands and the sweeper call these alone."""

from exports.services.dead_letters import handle_dead_letters
from exports.services.line import admit
from exports.services.moves import ExportNotFoundError
from exports.services.repairs import (
    delete_expired_outputs,
    forget_keys,
    handle_due,
    mend_line,
    notify_left_over,
)
from exports.services.reports import (
    accept_render,
    claim_render,
    complete_export,
    fail_render,
    put_off_start,
    record_progress,
)
from exports.services.requests import (
    AlreadyCreatedError,
    Stopping,
    WrongStatusError,
    cancel_export,
    create_export,
    look_for_created,
    pause_renders,
    resume_renders,
    retry_export,
)

__all__ = [
    "AlreadyCreatedError",
    "ExportNotFoundError",
    "Stopping",
    "WrongStatusError",
    "accept_render",
    "admit",
    "cancel_export",
    "claim_render",
    "complete_export",
    "create_export",
    "delete_expired_outputs",
    "fail_render",
    "forget_keys",
    "handle_dead_letters",
    "handle_due",
    "look_for_created",
    "mend_line",
    "notify_left_over",
    "pause_renders",
    "put_off_start",
    "record_progress",
    "resume_renders",
    "retry_export",
]

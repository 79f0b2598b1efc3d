"""Every change of an export. Views, webhooks, the admin, commands and the sweeper call these alone."""

from exports.services.batches import (
    BatchOrder,
    create_batch,
    delete_uncommitted_batches,
    find_batch,
    release_batches,
    retry_batch,
)
from exports.services.dead_letters import handle_dead_letters
from exports.services.line import admit
from exports.services.moves import ExportNotFoundError
from exports.services.quotas import QuotaExceededError, check_quota
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
    keep_worker_use,
    put_off_start,
    record_progress,
)
from exports.services.requests import (
    AlreadyCreatedError,
    Stopping,
    WrongStatusError,
    cancel_export,
    create_export,
    delete_export,
    look_for_created,
    pause_renders,
    resume_renders,
    retry_export,
)

__all__ = [
    "AlreadyCreatedError",
    "BatchOrder",
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
    "create_batch",
    "create_export",
    "delete_expired_outputs",
    "delete_export",
    "delete_uncommitted_batches",
    "fail_render",
    "find_batch",
    "forget_keys",
    "handle_dead_letters",
    "handle_due",
    "keep_worker_use",
    "look_for_created",
    "mend_line",
    "notify_left_over",
    "pause_renders",
    "put_off_start",
    "record_progress",
    "release_batches",
    "resume_renders",
    "retry_batch",
    "retry_export",
]

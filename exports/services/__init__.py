"""Every change of an export. Views, webhooks, the admin, commands and the sweeper call these alone."""

from exports.services.moves import ExportNotFoundError
from exports.services.repairs import handle_due
from exports.services.reports import (
    accept_render,
    claim_render,
    complete_export,
    fail_render,
    put_off_start,
    record_progress,
)
from exports.services.requests import WrongStatusError, create_export, retry_export

__all__ = [
    "ExportNotFoundError",
    "WrongStatusError",
    "accept_render",
    "claim_render",
    "complete_export",
    "create_export",
    "fail_render",
    "handle_due",
    "put_off_start",
    "record_progress",
    "retry_export",
]

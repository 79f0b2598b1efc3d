"""Waiting for an export that the running system makes."""

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Final

from localcloud.api_client import ApiClient
from localcloud.errors import LocalCloudError
from localcloud.paths import LOGS
from localcloud.system import System

_TIMEOUT_S: Final = 300


def await_completed(
    system: System,
    api: ApiClient,
    export_id: str,
    *,
    on_status: Callable[[dict[str, Any]], None] = lambda status: None,
) -> dict[str, Any]:
    """Return an export's status once it is completed, as the socket tells it; nothing is polled meanwhile.

    Args:
        system: what makes it; none of its processes may end before.
        api: signed in as the export's owner.
        export_id: the export.
        on_status: called with each status on the way, the last included.

    Raises:
        LocalCloudError: it ended otherwise, or not in time, or the system failed.
    """
    deadline = time.monotonic() + _TIMEOUT_S
    with closing(api.follow(export_id)) as seen:
        for status in seen:
            system.check()
            on_status(status)
            if status["status"] == "completed":
                return status
            if status["status"] not in ("pending", "processing"):
                raise LocalCloudError(
                    f"the export has {status['status']}: {status['errorMessage']}\n  logs: {LOGS}"
                )
            if time.monotonic() > deadline:
                break
    raise LocalCloudError(f"the export was not completed within {_TIMEOUT_S} s\n  logs: {LOGS}")

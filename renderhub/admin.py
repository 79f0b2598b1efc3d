"""What the admin pages of several apps share."""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Model
from django.http import HttpRequest


def log_changes(request: HttpRequest, rows: Iterable[Model], message: str) -> None:
    """Note in the admin's history what the user did with each row, in one insert for all of them."""
    user_id: Any = request.user.pk
    LogEntry.objects.log_actions(user_id, rows, CHANGE, message)


class ReadOnly:
    """Takes the adding and deleting away: these records are what happened."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        """Nobody adds one."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes one."""
        return False

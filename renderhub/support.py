"""The group of those who help users: they look at what happened, and cancel, retry, send again and pause."""

from collections.abc import Mapping
from typing import Any, Final

from django.contrib.auth.models import Group, Permission

GROUP: Final = "support"

# By app, the codenames. To change an export or a delivery is to act on it: their fields are read only.
_RIGHTS: Final[Mapping[str, tuple[str, ...]]] = {
    "exports": (
        "view_project",
        "view_exportrequest",
        "change_exportrequest",
        "view_batch",
        "view_render",
        "view_pause",
        "add_pause",
        "delete_pause",
    ),
    "notifications": ("view_delivery", "change_delivery"),
}


def keep_group(*, using: str, **_: Any) -> None:
    """Give the group just these rights; who is to have others belongs in a group of another name.

    For ``post_migrate``, since permissions are made by then, and not in a migration.
    """
    group, _made = Group.objects.using(using).get_or_create(name=GROUP)
    ids = [
        permission.pk
        for app, codenames in _RIGHTS.items()
        for permission in Permission.objects.using(using).filter(
            content_type__app_label=app, codename__in=codenames
        )
    ]
    group.permissions.set(ids)

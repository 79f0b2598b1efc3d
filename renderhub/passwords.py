"""Where passwords are checked, for the API, the pages and the admin alike."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest

from renderhub import limits


class PasswordBackend(ModelBackend):
    """Checks passwords as often as the limits allow, so that none can be guessed by trying.

    One address may try so many, right or wrong; and for one name there may be so many wrong ones, from
    wherever they come. It stands here rather than at each form, so that no way in is forgotten.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **more: Any,
    ) -> User | None:
        """Return the user whose name and password they are.

        Raises:
            LimitedError: too many were tried.
        """
        if request is None:
            # Nobody asks from outside.
            return super().authenticate(request, username, password, **more)
        limits.spend(request, "sign-in", by=limits.address(request))
        by_name = f"name:{username}"
        limits.refuse_if_spent(request, "sign-in-name", by=by_name)
        user = super().authenticate(request, username, password, **more)
        if user is None:
            limits.note(request, "sign-in-name", by=by_name)
        return user

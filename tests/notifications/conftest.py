from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from notifications.models import Delivery
from notifications.services import notify
from tests.conftest import NOW


@pytest.fixture
def reader(db: None) -> User:
    """Whoever is told something, with an address."""
    return User.objects.create_user("ada", email="ada@example.com", first_name="Ada")


@pytest.fixture
def delivery(reader: User) -> Delivery:
    """A completed export's e-mail, due now."""
    context = {"export_id": "0199", "title": "Report", "error_message": ""}
    notify(user_id=reader.pk, kind="export_completed", key="export:0199:1", context=context, now=NOW)
    return Delivery.objects.get()


@pytest.fixture
def later() -> Callable[[float], object]:
    """The moment that is so many seconds after the fixtures' own."""
    return lambda seconds: NOW + timedelta(seconds=seconds)

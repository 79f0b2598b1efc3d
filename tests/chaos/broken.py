"""The system with one of its rules left out, to show that the run would find out.

``CHAOS_BREAK`` names the rule. The API is served from :data:`application` then, and the sweeper is run by
``python -m tests.chaos.broken``.
"""

import functools
import os
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "renderhub.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402

from exports import services  # noqa: E402
from exports.models import ExportRequest  # noqa: E402
from exports.services import line  # noqa: E402


def _break_claim() -> None:
    """Leave the token out of the claim: whoever asks at the version of the claim is told to render."""

    def without_token(service: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(service)
        def call(*, report: Any, **more: Any) -> Any:
            return service(report=replace(report, token="anyone"), **more)

        return call

    services.claim_render = without_token(services.claim_render)
    services.accept_render = without_token(services.accept_render)
    services.put_off_start = without_token(services.put_off_start)


def _break_slots() -> None:
    """Count, then claim: the number of those who hold a slot decides, and no unique key."""

    def columns(places: Any, user_id: Any, *, now: Any) -> dict[str, Any]:
        number = random.randrange(1_000, 1_000_000_000)
        return {
            "slot": number,
            "user_slot": f"{user_id}:{number}",
            "due_at": now + timedelta(seconds=settings.RENDER_RESEND_S),
        }

    def read() -> Any:
        places = seen()
        holders = ExportRequest.objects.holders().count()
        free = max(settings.RENDER_MAX_CONCURRENCY - holders, 0)
        return replace(places, free=set(range(free)))

    seen = line._Places.read
    line._Places.read = read  # type: ignore[method-assign]
    line._Places.columns = columns  # type: ignore[assignment,method-assign]


def _break_sweeper() -> None:
    """Leave out the sweeper's first job: nothing that is due is done."""
    services.handle_due = lambda **given: 0


RULES: Final = {"claim": _break_claim, "slots": _break_slots, "sweeper": _break_sweeper}

RULES[os.environ["CHAOS_BREAK"]]()
application = get_wsgi_application()

if __name__ == "__main__":
    call_command("run_sweeper")

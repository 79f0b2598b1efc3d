"""What would go wrong with these settings, told by ``manage.py check`` and before a server begins.

========  ==================================================================================================
E001      several processes count limits and push to sockets each for itself, since they share no Redis
E002      every address is a trusted proxy, so that anybody can forge where a request comes from
W001      in production, memory counts the limits: right in one process alone
W002      behind HTTPS, no proxy is trusted: those who aren't signed in may all be counted as one
========  ==================================================================================================
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

TAG = "renderhub"


@checks.register(TAG)
def check_processes(*_: Any, **__: Any) -> list[checks.CheckMessage]:
    """See that as many processes as there are share their counters and their sockets' messages."""
    if settings.REDIS_URL:
        return []
    workers = max(settings.WEB_WORKERS, _told_to_start(sys.argv[1:]))
    if workers > 1:
        return [
            checks.Error(
                f"The server is told to start {workers} processes, and REDIS_URL is unset: each would count "
                "the limits for itself, and what one pushes reaches no socket of another.",
                hint="Set REDIS_URL, or start one process (GRANIAN_WORKERS=1, no --workers).",
                id="renderhub.E001",
            )
        ]
    if not settings.DEBUG:
        return [
            checks.Warning(
                "REDIS_URL is unset: the limits are counted, and sockets reached, in one process alone.",
                hint="Set REDIS_URL if the API, the sockets or the sweeper run in processes of their own.",
                id="renderhub.W001",
            )
        ]
    return []


@checks.register(TAG)
def check_proxies(*_: Any, **__: Any) -> list[checks.CheckMessage]:
    """See that the proxies that are trusted can be those in front of this server."""
    if any(network.prefixlen == 0 for network in settings.TRUSTED_PROXIES):
        return [
            checks.Error(
                "TRUSTED_PROXIES has every address, so that anybody can forge where a request comes from.",
                hint="List the networks of the proxies in front of this server, as 10.0.0.0/16.",
                id="renderhub.E002",
            )
        ]
    if settings.USE_HTTPS and not settings.DEBUG and not settings.TRUSTED_PROXIES:
        return [
            checks.Warning(
                "TRUSTED_PROXIES is empty: where a proxy ends TLS, all who aren't signed in come from its "
                "address, and share one limit.",
                hint="Set TRUSTED_PROXIES to the proxy's network, as 10.0.0.0/16; silence this where there "
                "is no proxy.",
                id="renderhub.W002",
            )
        ]
    return []


def refuse_errors() -> None:
    """Let no server begin with settings that a check of ours finds wrong.

    Raises:
        ImproperlyConfigured: one does; the message says what to do.
    """
    errors = [each for each in checks.run_checks(tags=[TAG]) if each.is_serious() and not each.is_silenced()]
    if errors:
        raise ImproperlyConfigured("\n".join(f"{each.msg} {each.hint} ({each.id})" for each in errors))


def _told_to_start(arguments: Sequence[str]) -> int:
    """Return how many processes a server is told to start by its arguments, which its workers see too.

    granian, gunicorn and uvicorn name it alike.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-w", "--workers", type=int, default=1)
    try:
        found: int = parser.parse_known_args(arguments)[0].workers
    except argparse.ArgumentError:
        # The arguments of something else.
        return 1
    return found

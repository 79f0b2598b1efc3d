"""Django's settings of the database, from ``DATABASE_URL``."""

from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

MONGODB: Final = "renderhub.mongodb"
"""The engine's name for MongoDB."""

_REACHED_S: Final = 5
"""How long to look for a server that doesn't answer: the drivers' own 30 s, or minutes, would hold a request
longer than any client waits."""

_MONGODB_SCHEMES: Final = ("mongodb://", "mongodb+srv://")


def database(url: str) -> dict[str, Any]:
    """Return one entry of Django's ``DATABASES``.

    Args:
        url: ``sqlite:///file``, ``postgres://user:password@host/name`` or ``mongodb://host/name`` (also
            ``mongodb+srv://``).

    Raises:
        ImproperlyConfigured: no such address; the message never holds it, since it may hold a password.
    """
    if url.startswith(_MONGODB_SCHEMES):
        return _mongodb(url)
    try:
        found: dict[str, Any] = dict(dj_database_url.parse(url))
    except ValueError:
        raise ImproperlyConfigured(
            "DATABASE_URL must be sqlite:///file, postgres://user:password@host/name or "
            "mongodb://user:password@host/name, with user and password percent-encoded"
        ) from None
    if found["ENGINE"] == "django.db.backends.postgresql":
        found["OPTIONS"] = {"connect_timeout": _REACHED_S, **found.get("OPTIONS", {})}
    if found["ENGINE"] == "django.db.backends.sqlite3":
        # Several threads and processes write to one file: a writer takes its lock at the start and others
        # wait for it.
        found["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    return found


def _mongodb(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    name = parts.path.strip("/")
    if not name:
        raise ImproperlyConfigured("DATABASE_URL must name the database: mongodb://host/renderhub")
    given = {option.lower() for option, _ in parse_qsl(parts.query)}
    # What is acknowledged survives the loss of the primary. MongoDB's own default, but not on every cluster.
    options: dict[str, Any] = {} if given & {"w", "journal", "j"} else {"w": "majority", "journal": True}
    if "serverselectiontimeoutms" not in given:
        options["serverSelectionTimeoutMS"] = _REACHED_S * 1000
    return {"ENGINE": MONGODB, "HOST": url, "NAME": name, "OPTIONS": options}

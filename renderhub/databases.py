"""Django's settings of the database, from ``DATABASE_URL``."""

from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

MONGODB: Final = "renderhub.mongodb"
"""The engine's name for MongoDB."""

_REACHED_S: Final = 5
"""How long to look for a server that doesn't answer: the drivers' own 30 s, or minutes, would hold a request
longer than any client waits."""

_POOL_WAIT_S: Final = 2.0

_POOL: Final = {
    "min_size": 0,
    # More than an API process has threads. Under ASGI, requests beyond it wait.
    "max_size": 20,
    # How long a request waits for one.
    "timeout": _POOL_WAIT_S,
    # By itself the pool would look for a server that is away ever more rarely; each request may make it look.
    "reconnect_timeout": _POOL_WAIT_S,
    # One that nobody wanted for so long is closed.
    "max_idle": 60.0,
}
"""PostgreSQL's connections of each process, in seconds.

To connect costs more than what most requests then ask. Django's ``CONN_MAX_AGE`` would keep one for each
thread, and under ASGI each request has a thread of its own."""

_MONGODB_SCHEMES: Final = ("mongodb://", "mongodb+srv://")


def database(url: str) -> dict[str, Any]:
    """Return one entry of Django's ``DATABASES``.

    Args:
        url: ``sqlite:///file``, ``postgres://user:password@host/name`` or ``mongodb://host/name`` (also
            ``mongodb+srv://``).

    Raises:
        ImproperlyConfigured: no such address; the message never holds it, since it may hold a password.
    """
    # Without the address. Nor is the error shown that it makes, which may quote it.
    refusal = ImproperlyConfigured(
        "DATABASE_URL must be sqlite:///file, postgres://user:password@host/name or "
        "mongodb://user:password@host/name, with user and password percent-encoded"
    )
    try:
        if url.startswith(_MONGODB_SCHEMES):
            return _mongodb(url)
        found: dict[str, Any] = dict(dj_database_url.parse(url))
    except (ValueError, PyMongoError):
        raise refusal from None
    if found["ENGINE"] not in ("django.db.backends.sqlite3", "django.db.backends.postgresql"):
        raise refusal
    if found["ENGINE"] == "django.db.backends.postgresql":
        found["OPTIONS"] = {"connect_timeout": _REACHED_S, **found.get("OPTIONS", {}), "pool": {**_POOL}}
        # One that the server has ended since is not handed out.
        found["CONN_HEALTH_CHECKS"] = True
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
    scheme, _, rest = url.partition("://")
    # That of mongodb+srv names its servers in the DNS, which nobody asks here.
    name = parse_uri(url)["database"] if scheme == "mongodb" else urlsplit(url).path.strip("/")
    if not name:
        raise ImproperlyConfigured("DATABASE_URL must name the database: mongodb://host/renderhub")
    given = {option.lower() for option, _ in parse_qsl(rest.partition("?")[2])}
    # What is acknowledged survives the loss of the primary. MongoDB's own default, but not on every cluster.
    options: dict[str, Any] = {} if given & {"w", "journal", "j"} else {"w": "majority", "journal": True}
    if "serverselectiontimeoutms" not in given:
        options["serverSelectionTimeoutMS"] = _REACHED_S * 1000
    return {"ENGINE": MONGODB, "HOST": url, "NAME": name, "OPTIONS": options}

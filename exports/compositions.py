"""What a bundled site has to offer, read from ``compositions.json`` beside its ``index.html``.

The file says ``{"compositions": [{"id": "MainComposition"}, …]}``. A site need not have one: what it offers
is then unknown here, and a render of a composition that it lacks fails with Remotion's words.
"""

import json
import threading
import time
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler

import structlog
from django.core.cache import cache

log = structlog.get_logger(__name__)

_FILE: Final = "compositions.json"
_TIMEOUT_S: Final = 2.0
_MAX_BYTES: Final = 200_000
_PART_BYTES: Final = 16_384
_KNOWN_S: Final = 60
_UNKNOWN_S: Final = 10

_UNSEEN: Final = object()

# One of this process's threads reads; the others wait for what it finds, as long as a reading may take.
_reading = threading.Lock()


def known_compositions(serve_url: str) -> frozenset[str] | None:
    """Return the ids of the compositions of a site, or ``None`` where they can't be told.

    What was found is kept for a minute, that nothing was found for ten seconds. A site that doesn't answer in
    time counts as one that has no such file.

    Args:
        serve_url: the site's address, which must be one that the deployment allows: it is read from here.
    """
    key = f"compositions:{serve_url}"
    known = cache.get(key, _UNSEEN)
    if known is _UNSEEN and _reading.acquire(timeout=_TIMEOUT_S):
        try:
            known = cache.get(key, _UNSEEN)
            if known is _UNSEEN:
                known = read_compositions(serve_url)
                cache.set(key, known, _UNKNOWN_S if known is None else _KNOWN_S)
        finally:
            _reading.release()
    return known if isinstance(known, frozenset) else None


def read_compositions(serve_url: str) -> frozenset[str] | None:
    """Read a site's list of compositions, ``None`` where there is none, or none that can be read."""
    url = _beside(serve_url)
    try:
        body = _read(url)
        return None if body is None else _ids(json.loads(body))
    except (OSError, HTTPException, ValueError, LookupError, TypeError, RecursionError) as error:
        log.warning("compositions.unreadable", url=url, reason=str(error))
        return None


def _read(url: str) -> bytes | None:
    deadline = time.monotonic() + _TIMEOUT_S
    with _opener.open(url, timeout=_TIMEOUT_S) as response:
        if response.status != HTTPStatus.OK:
            return None
        body = b""
        while part := response.read1(_PART_BYTES):
            body += part
            if len(body) > _MAX_BYTES or time.monotonic() > deadline:
                raise ValueError("it is too large, or comes too slowly")
        return body


def _ids(data: Any) -> frozenset[str]:
    ids = frozenset(each["id"] for each in data["compositions"])
    if not all(isinstance(id, str) for id in ids):
        raise ValueError("an id is no string")
    return ids


def _make_opener() -> OpenerDirector:
    """Return an opener of HTTP and HTTPS without redirects: the deployment allowed the address alone."""
    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler()):
        opener.add_handler(handler)
    return opener


_opener: Final = _make_opener()


def _beside(serve_url: str) -> str:
    """Return the address of the list: in the folder of ``index.html``, or the one that ``serve_url`` is."""
    parts = urlsplit(serve_url)
    folder, _, last = parts.path.rpartition("/")
    if last and not last.endswith(".html"):
        folder = f"{folder}/{last}"
    return urlunsplit((parts.scheme, parts.netloc, f"{folder}/{_FILE}", "", ""))

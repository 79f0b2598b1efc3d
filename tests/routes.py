"""Every address that the server has, read from its URL resolver, so that a new one is noticed."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An address.

    Attributes:
        path: it, with its parameters as ``{name}``.
        methods: what it takes; empty where the view doesn't say.
        view: its class, ``None`` where it is a function.
    """

    path: str
    methods: frozenset[str]
    view: type[Any] | None


def routes() -> list[Route]:
    """Return every address."""
    return list(_routes(get_resolver().url_patterns, "/"))


def api_routes() -> list[Route]:
    """Return every address at which Django REST framework answers."""
    return [route for route in routes() if hasattr(route.view, "renderer_classes")]


def _routes(patterns: Sequence[URLPattern | URLResolver], prefix: str) -> Iterator[Route]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern.url_patterns, path)
            continue
        view = getattr(pattern.callback, "cls", None) or getattr(pattern.callback, "view_class", None)
        actions = getattr(pattern.callback, "actions", None)
        yield Route(path=_plain(path), methods=_methods(view, actions), view=view)


def _methods(view: Any, actions: dict[str, str] | None) -> frozenset[str]:
    if view is None:
        return frozenset()
    taken = {method for method in view.http_method_names if method in (actions or dir(view))}
    return frozenset(method.upper() for method in taken - {"head", "options"})


def _plain(path: str) -> str:
    path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path.replace("(?P", "("))
    path = re.sub(r"\(({\w+})[^()]*\)", r"\1", path)
    return re.sub(r"\(\?:[^()]*\)", "/", path).replace("^", "").replace("$", "")

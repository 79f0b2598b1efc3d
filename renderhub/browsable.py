"""The API as pages, for people who are signed in."""

import json
from functools import cache
from typing import Any

from django import forms
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request


class PageRenderer(BrowsableAPIRenderer):
    """Fills the form of a call that makes something with the fullest example of its description."""

    def get_raw_data_form(self, data: Any, view: Any, method: str, request: Request) -> forms.Form | None:
        """Return the form; Django REST framework's own shows what a change would change."""
        form: forms.Form | None = super().get_raw_data_form(data, view, method, request)
        if form is not None and method == "POST":
            form.initial["_content"] = _examples().get(_path(request), "")
        return form


def _path(request: Request) -> str:
    """Return a request's path as the description has it."""
    path = request.path
    for name, value in request.resolver_match.kwargs.items() if request.resolver_match else ():
        first, *others = name.split("_")
        path = path.replace(str(value), "{" + first + "".join(map(str.capitalize, others)) + "}")
    return path


@cache
def _examples() -> dict[str, str]:
    """Return the fullest example of each JSON body that is posted, by path."""
    # Here, since it imports views, which import their renderers.
    from drf_spectacular.generators import SchemaGenerator

    generator: Any = SchemaGenerator
    found = {}
    for path, calls in generator().get_schema(public=True)["paths"].items():
        content = calls.get("post", {}).get("requestBody", {}).get("content", {})
        examples = content.get("application/json", {}).get("examples", {}).values()
        bodies = [json.dumps(example["value"], indent=4, ensure_ascii=False) for example in examples]
        if bodies:
            found[path] = max(bodies, key=len)
    return found

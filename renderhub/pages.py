"""The pages for people: signing in, the studio, one export. What they show they read from the HTTP API."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from exports import storage
from exports.models import Codec, ExportRequest
from lambda_worker.contract import CODEC_EXTENSIONS

_View = Callable[..., HttpResponseBase]

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'{files}; media-src 'self'{files}; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def with_content_security_policy(view: _View) -> _View:
    """Let a page run our own scripts and styles alone, and show the bucket's files besides our own."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        origin = storage.public_origin()
        response["Content-Security-Policy"] = _POLICY.format(files=f" {origin}" if origin else "")
        return response

    return guarded


sign_in = with_content_security_policy(LoginView.as_view(redirect_authenticated_user=True))
sign_out = LogoutView.as_view()


@with_content_security_policy
@require_safe
@login_required
@ensure_csrf_cookie
def studio(request: HttpRequest) -> HttpResponse:
    """Show one's projects, the form that asks for an export, and one's exports."""
    codecs = [(codec.value, codec.label, CODEC_EXTENSIONS[codec]) for codec in Codec]
    return render(request, "studio.html", {"codecs": codecs})


@with_content_security_policy
@require_safe
@login_required
@ensure_csrf_cookie
def export_page(request: HttpRequest, export_id: UUID) -> HttpResponseBase:
    """Show one export: how far it is, its file, or why it failed."""
    exports = ExportRequest.objects.visible_to(request.user).only("title", "composition_id")
    export = exports.filter(pk=export_id).first()
    if export is None:
        return not_found(request, None)
    return render(request, "export.html", {"export": export})


@with_content_security_policy
def not_found(request: HttpRequest, exception: Exception | None) -> HttpResponse:
    """Say that there is nothing at this address, or nothing that the asker may see."""
    return render(request, "404.html", status=HTTPStatus.NOT_FOUND)


@with_content_security_policy
def limited(request: HttpRequest, wait: str) -> HttpResponse:
    """Say that too many passwords were tried, and how long to ``wait``."""
    return render(request, "429.html", {"wait": wait}, status=HTTPStatus.TOO_MANY_REQUESTS)


@with_content_security_policy
def unavailable(request: HttpRequest) -> HttpResponse:
    """Say that the database can't be reached, without asking it who asks."""
    return HttpResponse(render_to_string("503.html"), status=HTTPStatus.SERVICE_UNAVAILABLE)

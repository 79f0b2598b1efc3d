"""Where the worker and Remotion report. Nothing looks at a body before its signature is proven."""

import time
from dataclasses import replace
from http import HTTPStatus
from typing import assert_never

import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from exports import failures, queue, services
from lambda_worker import contract, signing
from lambda_worker.contract import (
    Answer,
    RenderError,
    RenderProgress,
    RenderStarted,
    RenderSuccess,
    RenderThrottled,
    RenderTimeout,
    Webhook,
)
from renderhub.problems import problem_response, too_large

log = structlog.get_logger(__name__)


@csrf_exempt
def receive(request: HttpRequest) -> HttpResponse:
    """Take one webhook: verify, parse, apply, answer."""
    if request.method != "POST":
        refusal = problem_response(HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed", "Reports are posted.")
        refusal["Allow"] = "POST"
        return refusal
    try:
        body = request.body
    except RequestDataTooBig:
        # An ASGI server's wrapper limits bodies before this; under WSGI Django does.
        return problem_response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, *too_large(settings.MAX_BODY_BYTES))
    try:
        scheme = signing.verify(body, request.headers.get(signing.HEADER), secrets=settings.WEBHOOK_SECRETS)
        webhook = _parse(request, scheme)
    except signing.SignatureError as error:
        log.warning("webhook.refused", reason=str(error))
        return problem_response(HTTPStatus.UNAUTHORIZED, "signature", f"Refused: {error}.")
    except contract.ContractError as error:
        log.warning("webhook.malformed", reason=str(error))
        return problem_response(HTTPStatus.BAD_REQUEST, "malformed-webhook", f"Malformed: {error}.")
    if webhook is None:
        return JsonResponse({})
    try:
        answer = _apply(webhook)
        if webhook.worker is not None:
            services.keep_worker_use(export_id=webhook.export_id, use=webhook.worker)
    except services.ExportNotFoundError:
        log.warning("webhook.unknown_export", export_id=webhook.export_id, type=webhook.type)
        return problem_response(HTTPStatus.NOT_FOUND, "unknown-export", "There is no such export.")
    return JsonResponse(answer.dump())


def _parse(request: HttpRequest, scheme: signing.Scheme) -> Webhook | None:
    if scheme is signing.Scheme.REMOTION:
        if not settings.DEBUG and request.headers.get(signing.MODE_HEADER) == "demo":
            raise signing.SignatureError("demo webhooks are not accepted in production")
        return contract.parse_remotion_webhook(request.body)
    envelope, data = contract.parse_envelope(request.body)
    signing.check_age(envelope.timestamp, now=time.time())
    webhook = contract.parse_webhook(data)
    if webhook is None:
        log.warning("webhook.unknown_type", type=envelope.type)
    return webhook


def _apply(webhook: Webhook) -> Answer:
    now = timezone.now()
    match webhook:
        case RenderStarted():
            return Answer(action=services.claim_render(report=webhook, now=now))
        case RenderProgress(token=str()):
            return Answer(action=services.accept_render(report=webhook, now=now))
        case RenderProgress():
            services.record_progress(report=webhook, now=now)
        case RenderThrottled():
            services.put_off_start(report=webhook, now=now)
        case RenderSuccess():
            services.complete_export(report=webhook, queue=queue.get_queue(), now=now)
        case RenderError():
            errors = failures.readable(webhook.errors, secrets=settings.WEBHOOK_SECRETS)
            report = replace(webhook, errors=errors)
            services.fail_render(report=report, queue=queue.get_queue(), now=now)
        case RenderTimeout():
            services.fail_render(report=webhook, queue=queue.get_queue(), now=now)
        case _:
            assert_never(webhook)
    return Answer()

"""The worker's log (JSON lines) and metrics (CloudWatch's embedded metric format), both on standard output.

An event is a constant word with fields. Props, secrets, tokens, presigned URLs and Remotion's error texts,
which may quote props, are never logged. The token is Lambda's request id, and Lambda's own START and REPORT
lines carry it; a line of the worker is found by ``export_id`` or ``message_id``.
"""

from enum import StrEnum
from typing import Final

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

_SERVICE: Final = "remotion-render-worker"
_NAMESPACE: Final = "renderhub"

log: Final = Logger(service=_SERVICE)


class Metric(StrEnum):
    """What an operator watches or is woken for."""

    RENDERS_STARTED = "RendersStarted"
    RENDERS_THROTTLED = "RendersThrottled"  # many: more renders at once than Lambda's concurrency allows
    STARTS_REFUSED = "StartsRefused"  # any: the function is missing, forbidden or of another version
    STARTS_UNKNOWN = "StartsUnknown"  # any: an attempt hangs for 180 s, and may be paid for twice
    POLLS_FAILED = "PollsFailed"
    WEBHOOKS_UNDELIVERED = "WebhooksUndelivered"  # any: the API is down, or the secrets differ
    DEAD_LETTERED = "DeadLettered"  # any: API and worker don't understand each other
    CRASHES = "Crashes"  # any: a defect of the worker


def count(metric: Metric) -> None:
    """Add one to a metric."""
    with single_metric(
        name=metric,
        unit=MetricUnit.Count,
        value=1,
        namespace=_NAMESPACE,
        default_dimensions={"service": _SERVICE},
    ):
        pass

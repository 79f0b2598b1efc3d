"""Why exports fail: each cause with its code, whether trying again can help, and what to do about it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lambda_worker.contract import RenderFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One known cause.

    Attributes:
        code: a constant word, kept on the export.
        retryable: whether the same export may succeed at another attempt.
        cause: what happened, for support staff.
        advice: what to do about it.
    """

    code: str
    retryable: bool
    cause: str
    advice: str


TIMEOUT: Final = Failure(
    code="timeout",
    retryable=True,
    cause="The render did not end within its time limit.",
    advice="Shorten the video, or give the Remotion function more memory, then retry.",
)
THROTTLED: Final = Failure(
    code="throttled",
    retryable=True,
    cause="AWS had no free Lambda concurrency for the render.",
    advice="Ask AWS for a higher concurrency quota, or lower RENDER_MAX_CONCURRENCY.",
)
RENDER_LOST: Final = Failure(
    code="render_lost",
    retryable=True,
    cause="A worker took the export and was not heard of again, as often as attempts are allowed.",
    advice="Look at the worker's log and its errors in CloudWatch; retry when it is healthy.",
)
START_REFUSED: Final = Failure(
    code="start_refused",
    retryable=False,
    cause="Remotion's function refused to start the render, or could not be called.",
    advice="Check that the function's name, version and the worker's permission fit the deployment.",
)
FUNCTION_MISSING: Final = Failure(
    code="function_missing",
    retryable=False,
    cause="There is no Remotion function of the configured name.",
    advice="Deploy the function, or set REMOTION_FUNCTION_NAME to the one that is deployed.",
)
PROPS_TOO_LARGE: Final = Failure(
    code="props_too_large",
    retryable=False,
    cause="The props are larger than what can be passed to Remotion.",
    advice="Put large data at a URL and pass the URL.",
)
UNREADABLE: Final = Failure(
    code="unreadable_message",
    retryable=False,
    cause="The worker could not process the export's message, and SQS put it on the dead-letter queue.",
    advice="Look at the worker's log for the reason; retry when it is mended.",
)
COMPOSITION_FAILED: Final = Failure(
    code="composition_failed",
    retryable=False,
    cause="The composition threw an error while it was rendered.",
    advice="The message and stack are the composition's own: mend it, or the props that it was given.",
)

_BY_MESSAGE: Final[Sequence[tuple[re.Pattern[str], Failure]]] = tuple(
    (re.compile(pattern, re.IGNORECASE), failure)
    for pattern, failure in (
        (
            r"could not find composition|no composition with the id",
            Failure(
                code="composition_not_found",
                retryable=False,
                cause="The bundled site has no composition of that name.",
                advice="Use one of the site's compositions, or deploy a site that has it.",
            ),
        ),
        (
            r"toomanyrequests|rate exceeded|concurrentinvocationlimit|concurrency limit",
            THROTTLED,
        ),
        (
            r"accessdenied|access denied|not authorized to perform|forbidden",
            Failure(
                code="access_denied",
                retryable=False,
                cause="AWS refused an action of the render.",
                advice="Check the policy of Remotion's role and the bucket's; the message names the action.",
            ),
        ),
        (
            r"(\(\)|render) (was|has been|got) cancell?ed",
            Failure(
                code="render_cancelled",
                retryable=False,
                cause="The render was cancelled at Remotion.",
                advice="Retry it if it is still wanted.",
            ),
        ),
        (
            r"net::err_|getaddrinfo|econnre|socket hang up|error visiting|timed out.*(loading|navigation)",
            Failure(
                code="site_unreachable",
                retryable=True,
                cause="Chromium could not load the site, or something that the composition loads.",
                advice="Check that the serveUrl and the composition's assets can be reached from Remotion.",
            ),
        ),
        (
            r"delayrender\(\)",
            Failure(
                code="asset_timeout",
                retryable=True,
                cause="The composition waited too long for something that it loads.",
                advice="Check the composition's assets and fetches; raise its time-out if they are slow.",
            ),
        ),
        (
            r"target closed|page crashed|browser.*(crash|disconnect)|out of memory|enomem|enospc|sigkill",
            Failure(
                code="browser_crashed",
                retryable=True,
                cause="Chromium died while it rendered, most often for want of memory or disk.",
                advice="Give the Remotion function more memory or disk if it happens again.",
            ),
        ),
    )
)


def classify(errors: Sequence[RenderFailure]) -> Failure:
    """Tell the cause of a failed render from Remotion's own messages.

    An unknown message is the composition's own: Remotion passes on whatever it throws.
    """
    for error in errors:
        for pattern, failure in _BY_MESSAGE:
            if pattern.search(error.message):
                return failure
    return COMPOSITION_FAILED


def readable(errors: Sequence[RenderFailure], *, secrets: Sequence[str]) -> tuple[RenderFailure, ...]:
    """Return Remotion's errors as users may read them.

    A message is one line of what happened; what else it said is in the stack. Some of Remotion's messages are
    a whole stack, and some quote the request that failed, in which the webhook's secret stands.

    Args:
        errors: as they were reported.
        secrets: what nobody may read.
    """
    return tuple(_readable(error, secrets) for error in errors[:_MAX_ERRORS])


_MAX_ERRORS: Final = 5
_MAX_MESSAGE_CHARS: Final = 2_000
_MAX_STACK_CHARS: Final = 4_000
_PREFIX: Final = re.compile(r"^(Error:\s*)+")
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


def _readable(error: RenderFailure, secrets: Sequence[str]) -> RenderFailure:
    message, stack = (_clean(text, secrets) for text in (error.message, error.stack))
    line, _, rest = message.partition("\n")
    if rest.strip() not in stack:
        stack = f"{message}\n{stack}".rstrip()
    line = _PREFIX.sub("", line).strip()
    return RenderFailure(
        message=line[:_MAX_MESSAGE_CHARS] or "Remotion gave no reason.", stack=stack[:_MAX_STACK_CHARS]
    )


def _clean(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        # As it is, and as it stands in JSON that is quoted.
        for written in {secret, json.dumps(secret)[1:-1]}:
            text = text.replace(written, "[secret]")
    return _UNSTORABLE.sub("\ufffd", text).strip()


def by_code(code: str) -> Failure | None:
    """Return the known failure with this code, for those who explain it."""
    return _BY_CODE.get(code)


_BY_CODE: Final = {
    failure.code: failure
    for failure in (
        TIMEOUT,
        RENDER_LOST,
        START_REFUSED,
        FUNCTION_MISSING,
        PROPS_TOO_LARGE,
        UNREADABLE,
        COMPOSITION_FAILED,
        *(failure for _, failure in _BY_MESSAGE),
    )
}

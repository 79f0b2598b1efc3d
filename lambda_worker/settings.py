"""The worker's settings, read from the environment of its Lambda function."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_MEND: Final[Mapping[str, str]] = {
    "AWS_REGION": "the region of the queue and of Remotion's function, which Lambda sets by itself",
    "REMOTION_FUNCTION_NAME": "the name that `npx remotion lambda functions deploy` has printed",
    "REMOTION_BUCKET": "the name of the bucket that takes the videos",
    "REMOTION_SQS_DLQ_URL": "the URL of the dead-letter queue",
    "WEBHOOK_SECRETS": "the secrets shared with the API, separated by commas; the first one signs",
}


class SettingsError(Exception):
    """The environment lacks what the worker needs; the text names each variable and what belongs there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the worker is told by its environment.

    Attributes:
        region: the AWS region of Remotion's function, the bucket and the queue.
        function_name: Remotion's function.
        bucket: takes the outputs and Remotion's own files of each render.
        dead_letter_queue_url: takes the messages that can't be read.
        webhook_secret: signs the worker's webhooks, and is given to Remotion to sign its own.
    """

    region: str
    function_name: str
    bucket: str
    dead_letter_queue_url: str
    webhook_secret: str = field(repr=False)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: a variable is missing or empty; all of them are named at once.
    """
    values = {name: environment.get(name, "").strip() for name in _MEND}
    # Rotation puts the new secret first; what follows are those that the API still accepts.
    secrets = [secret.strip() for secret in values["WEBHOOK_SECRETS"].split(",") if secret.strip()]
    values["WEBHOOK_SECRETS"] = secrets[0] if secrets else ""
    missing = [f"{name} is not set: it is {_MEND[name]}." for name, value in values.items() if not value]
    if missing:
        raise SettingsError(" ".join(missing))
    return Settings(
        region=values["AWS_REGION"],
        function_name=values["REMOTION_FUNCTION_NAME"],
        bucket=values["REMOTION_BUCKET"],
        dead_letter_queue_url=values["REMOTION_SQS_DLQ_URL"],
        webhook_secret=values["WEBHOOK_SECRETS"],
    )

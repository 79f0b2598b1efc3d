"""The secrets that the parts of one checkout share, made at random in its first run."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutSecrets:
    """Kept between runs: sign-ins of the last run go on, and webhooks on their way are still believed."""

    secret_key: str
    webhook_secret: str

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the secrets, or make them; only this user can read the file."""
        if path.exists():
            return cls(**json.loads(path.read_text()))
        made = cls(secret_key=secrets.token_urlsafe(48), webhook_secret=secrets.token_urlsafe(32))
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(made), file)
        return made

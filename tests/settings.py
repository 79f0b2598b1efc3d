"""The settings of the tests: nothing of this machine's environment, nothing outside of it."""

import os
import tempfile

for name in (
    "DATABASE_URL",
    "REDIS_URL",
    "TRUSTED_PROXIES",
    "GRANIAN_WORKERS",
    "WEB_CONCURRENCY",
    "DEBUG",
    "AWS_ENDPOINT_URL",
    "REMOTION_SQS_QUEUE_URL",
    "REMOTION_SQS_DLQ_URL",
):
    os.environ.pop(name, None)
os.environ.update(
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    AWS_EC2_METADATA_DISABLED="true",
    WEBHOOK_SECRETS="new-secret,old-secret",
    REMOTION_BUCKET="renderhub-test",
    REMOTION_SERVE_URL="https://renderhub-test.s3.amazonaws.com/sites/main/index.html",
)

from renderhub.settings import *  # noqa: E402, F403

# So high that only a test that sets one meets it.
LIMITS = dict.fromkeys(LIMITS, (100_000, 60))  # noqa: F405

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# A file, since threads that share a database in memory don't wait for each other's locks.
DATABASES["default"]["TEST"] = {"NAME": f"{tempfile.gettempdir()}/renderhub-test-{os.getpid()}.sqlite3"}  # noqa: F405

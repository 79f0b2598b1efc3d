"""The settings of the tests: nothing of this machine's environment, nothing outside of it.

``python -m tests.databases`` names another database than SQLite with ``TEST_DATABASE_URL``.
"""

import os
import tempfile

for name in (
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
    DATABASE_URL=os.environ.get("TEST_DATABASE_URL", ""),
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    AWS_EC2_METADATA_DISABLED="true",
    WEBHOOK_SECRETS="new-secret,old-secret",
    REMOTION_BUCKET="renderhub-test",
    REMOTION_SERVE_URL="https://renderhub-test.s3.amazonaws.com/sites/main/index.html",
)

if os.environ.get("TEST_DJANGO_SETTINGS_MODULE") == "tests.databases.secantus.settings":
    from tests.databases.secantus.settings import *  # noqa: F403
else:
    from renderhub.settings import *  # noqa: F403

# So high that only a test that sets one meets it.
LIMITS = dict.fromkeys(LIMITS, (100_000, 60))  # noqa: F405

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

_database = DATABASES["default"]  # noqa: F405
if _database["ENGINE"] == "django.db.backends.sqlite3":
    # A file, since threads that share a database in memory don't wait for each other's locks.
    _database["TEST"] = {"NAME": f"{tempfile.gettempdir()}/renderhub-test-{os.getpid()}.sqlite3"}

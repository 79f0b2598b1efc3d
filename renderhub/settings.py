"""All settings, read from the environment in this one place. ``.env.example`` lists every variable.

An unset variable means the one-machine default. With ``DEBUG`` off, what has no safe default must be set,
or start-up says so.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

from renderhub.databases import MONGODB, database
from renderhub.environment import Environment

env = Environment()

BASE_DIR = Path(__file__).resolve().parent.parent

# --- The process --------------------------------------------------------------------------------------------

DEBUG = env.flag("DEBUG", default=True)

if DEBUG:
    SECRET_KEY = env.text("SECRET_KEY", "one-machine-only-not-a-secret-0123456789abcdef0123456789abcdef")
    WEBHOOK_SECRETS = env.items("WEBHOOK_SECRETS", ("one-machine-only-not-a-secret",))
    API_BASE_URL = env.text("API_BASE_URL", "http://localhost:8000").rstrip("/")
else:
    SECRET_KEY = env.required("SECRET_KEY", "a random text of at least 50 characters")
    env.required("WEBHOOK_SECRETS", "one random text or several, comma-separated, the newest first")
    WEBHOOK_SECRETS = env.items("WEBHOOK_SECRETS")
    API_BASE_URL = env.required("API_BASE_URL", "this API's public address, https://…").rstrip("/")

# A forgotten DEBUG must not show its pages to the world: by default it answers to this machine's names alone.
ALLOWED_HOSTS = list(
    env.items(
        "ALLOWED_HOSTS",
        ("localhost", "127.0.0.1", "[::1]") if DEBUG else (urlsplit(API_BASE_URL).hostname or "",),
    )
)
CSRF_TRUSTED_ORIGINS = [API_BASE_URL]
USE_HTTPS = API_BASE_URL.startswith("https://")

ROOT_URLCONF = "renderhub.urls"
WSGI_APPLICATION = "renderhub.wsgi.application"
ASGI_APPLICATION = "renderhub.asgi.application"
APPEND_SLASH = False

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_ratelimit",
    "renderhub",
    "exports",
    "notifications",
]

MIDDLEWARE = [
    "renderhub.health.HealthMiddleware",
    "renderhub.bodies.require_length",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "renderhub.limits.LimitsMiddleware",
    "renderhub.exceptions.ProblemsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "renderhub" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "renderhub" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = USE_HTTPS
CSRF_COOKIE_SECURE = USE_HTTPS
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if USE_HTTPS else 0
# A load balancer in front ends TLS and sets this header; it must strip the client's own.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if USE_HTTPS else None
SECURE_SSL_REDIRECT = False
X_FRAME_OPTIONS = "DENY"

AUTHENTICATION_BACKENDS = ["renderhub.passwords.PasswordBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

# What one request's body may hold: input props are 190,000 bytes at the most, and a batch has up to 1,000
# rows.
MAX_BODY_BYTES = 1_000_000
MAX_BATCH_BYTES = 10_000_000
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES

# --- Records ------------------------------------------------------------------------------------------------

DATABASES = {"default": database(env.text("DATABASE_URL", f"sqlite:///{BASE_DIR / 'db.sqlite3'}"))}

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

if DATABASES["default"]["ENGINE"] == MONGODB:
    # Django's own apps number their rows; MongoDB's have an ObjectId, and migrations that say so.
    DEFAULT_AUTO_FIELD = "django_mongodb_backend.fields.ObjectIdAutoField"
    _mongodb_apps = {
        "django.contrib.admin": "renderhub.mongodb.apps.MongoAdminConfig",
        "django.contrib.auth": "renderhub.mongodb.apps.MongoAuthConfig",
        "django.contrib.contenttypes": "renderhub.mongodb.apps.MongoContentTypesConfig",
    }
    INSTALLED_APPS = [
        "renderhub.mongodb.apps.MongoDBConfig",
        *(_mongodb_apps.get(app, app) for app in INSTALLED_APPS),
        "django_mongodb_backend",
    ]
    MIGRATION_MODULES = {
        app: f"renderhub.mongodb.migrations.{app}" for app in ("admin", "auth", "contenttypes")
    }
    DATABASE_ROUTERS = ["django_mongodb_backend.routers.MongoRouter"]

# --- HTTP API -----------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework_simplejwt.authentication.JWTAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["renderhub.limits.Limits"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PARSER_CLASSES": ["renderhub.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "renderhub.browsable.PageRenderer",
    ],
    "EXCEPTION_HANDLER": "renderhub.exceptions.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}

SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=14),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "renderhub",
    "VERSION": "1",
    "TAGS": [
        {"name": "exports", "description": "Ask for videos, follow them, and try again."},
        {"name": "projects", "description": "What can be exported: a composition and the props it takes."},
        {"name": "auth", "description": "Tokens for programs; browsers have a session."},
        {"name": "webhooks", "description": "Where the worker and Remotion report. Not for clients."},
    ],
    "CAMELIZE_NAMES": True,
    "ENUM_NAME_OVERRIDES": {
        "StatusEnum": "exports.states.SHOWN",
        "EventEnum": "exports.states.Event",
        "CodecEnum": "exports.models.Codec",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "renderhub.openapi.describe_refusals",
        "exports.openapi.describe_webhook",
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/",
    "COMPONENT_SPLIT_REQUEST": True,
}

# --- Limits -------------------------------------------------------------------------------------------------

# By name: how many calls in how many seconds, of a user, or of an address where nobody is signed in.
LIMITS = {
    "reads": env.rate("LIMIT_READS", "1200/m"),
    "writes": env.rate("LIMIT_WRITES", "120/m"),
    "exports": env.rate("LIMIT_EXPORTS", "120/m"),
    "batches": env.rate("LIMIT_BATCHES", "10/m"),
    "tokens": env.rate("LIMIT_TOKENS", "60/m"),
    # Passwords: all that one address tries, and the wrong ones that anybody tries for one name.
    "sign-in": env.rate("LIMIT_SIGN_IN", "30/m"),
    "sign-in-name": env.rate("LIMIT_SIGN_IN_NAME", "20/h"),
}
# How many of one user's exports may be pending.
MAX_PENDING_PER_USER = env.integer("MAX_PENDING_PER_USER", 2000, minimum=1)
# The proxies in front of this server, which append to X-Forwarded-For where a request came from.
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")

REDIS_URL = env.text("REDIS_URL")
# How many processes the server is told to start: granian reads the one, gunicorn and uvicorn the other.
WEB_WORKERS = env.integer("GRANIAN_WORKERS", env.integer("WEB_CONCURRENCY", 1))

CACHES: dict[str, dict[str, Any]] = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if REDIS_URL:
    # It takes a tenth of a second, which those without Redis save.
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    CACHES["limits"] = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "limits",
        # Who can't be counted is let through, and soon. One more try, at once, since Redis may have closed an
        # idle connection.
        "OPTIONS": {
            "socket_connect_timeout": 0.5,
            "socket_timeout": 0.5,
            "retry": Retry(NoBackoff(), retries=1),
        },
    }
else:
    # Far more than there are users and addresses in any minute of one process; the oldest go first.
    CACHES["limits"] = {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "limits",
        "OPTIONS": {"MAX_ENTRIES": 50_000},
    }
RATELIMIT_USE_CACHE = "limits"
RATELIMIT_FAIL_OPEN = True
# The one says that django-ratelimit has not tried Django's own RedisCache, whose increments are Redis's own;
# the other that memory is not shared, no fault in a single process, over which renderhub.E001 watches.
SILENCED_SYSTEM_CHECKS = ["django_ratelimit.W001", *([] if REDIS_URL else ["django_ratelimit.E003"])]

# --- AWS and Remotion ---------------------------------------------------------------------------------------

AWS_REGION = env.text("AWS_REGION", "us-east-1")

# On one machine localcloud sets these to what it deployed; without it, creating an export records it and
# leaves it to be sent once a queue is there.
if DEBUG:
    REMOTION_SQS_QUEUE_URL = env.text("REMOTION_SQS_QUEUE_URL")
    REMOTION_SQS_DLQ_URL = env.text("REMOTION_SQS_DLQ_URL")
    REMOTION_BUCKET = env.text("REMOTION_BUCKET")
    REMOTION_SERVE_URL = env.text("REMOTION_SERVE_URL")
else:
    REMOTION_SQS_QUEUE_URL = env.required("REMOTION_SQS_QUEUE_URL", "the stack's output QueueUrl")
    REMOTION_SQS_DLQ_URL = env.required("REMOTION_SQS_DLQ_URL", "the stack's output DeadLetterQueueUrl")
    REMOTION_BUCKET = env.required("REMOTION_BUCKET", "the stack's output BucketName")
    REMOTION_SERVE_URL = env.required("REMOTION_SERVE_URL", "the address of the bundled Remotion site")

# Where a project's own serveUrl may point, as prefixes: Remotion's Chromium loads whatever stands there.
SERVE_URL_ALLOWED = env.items("SERVE_URL_ALLOWED", (REMOTION_SERVE_URL,) if REMOTION_SERVE_URL else ())

# Where browsers reach S3, if that is another address than the one that this process uses.
S3_PUBLIC_ENDPOINT_URL = env.text("S3_PUBLIC_ENDPOINT_URL")

# How many exports may render at once: over all users, and of one of them.
RENDER_MAX_CONCURRENCY = env.integer("RENDER_MAX_CONCURRENCY", 10, minimum=1)
RENDER_MAX_CONCURRENCY_PER_USER = env.integer("RENDER_MAX_CONCURRENCY_PER_USER", 5, minimum=1)
RENDER_MAX_ATTEMPTS = env.integer("RENDER_MAX_ATTEMPTS", 3, minimum=1)
# Remotion's own function ends at 15 minutes, so a render does too.
RENDER_TIMEOUT_S = env.seconds("RENDER_TIMEOUT_S", 900, minimum=1)
RENDER_POLL_S = env.seconds("RENDER_POLL_S", 5, minimum=0.2)
# A start message that nobody claims is sent again after this long.
RENDER_RESEND_S = env.seconds("RENDER_RESEND_S", 60, minimum=1)
# How long a claim may stay without a render id: longer than a worker can live.
RENDER_CLAIM_S = env.seconds("RENDER_CLAIM_S", 180, minimum=1)

# What SigV4 can sign: seven days.
OUTPUT_URL_TTL_S = min(env.integer("OUTPUT_URL_TTL_S", 3600, minimum=1), 604_800)

# Hands out plain addresses of the files, which then must be public by the bucket's policy or a CDN's.
OUTPUT_PUBLIC = env.flag("OUTPUT_PUBLIC", default=False)

# How many days a finished file is kept; 0 keeps it for ever.
OUTPUT_RETENTION_DAYS = env.integer("OUTPUT_RETENTION_DAYS", 0)

# --- Live updates -------------------------------------------------------------------------------------------

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL]},
    }
    if REDIS_URL
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}

# --- Notifications ------------------------------------------------------------------------------------------

if DEBUG:
    _mail = env.email("EMAIL_URL", "console:")
else:
    env.required("EMAIL_URL", "smtp://user:password@host:587?from=sender@example.com")
    _mail = env.email("EMAIL_URL")
DEFAULT_FROM_EMAIL = f"renderhub@{urlsplit(API_BASE_URL).hostname}"
globals().update(_mail)

# --- Logs ---------------------------------------------------------------------------------------------------

structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.filter_by_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "structured": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.dev.ConsoleRenderer(colors=False) if DEBUG else structlog.processors.JSONRenderer(),
            ],
            "foreign_pre_chain": [
                structlog.stdlib.add_logger_name,
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        # The root's handler serves these too; Django's own would print each line a second time.
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
        # It tells where it has found its credentials, in each process, and before each command's own words.
        "botocore": {"level": "WARNING"},
    },
}

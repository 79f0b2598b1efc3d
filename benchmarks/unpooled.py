"""The settings with a connection to PostgreSQL for each request, to compare with."""

from renderhub.settings import *  # noqa: F403

DATABASES["default"]["OPTIONS"].pop("pool")  # noqa: F405

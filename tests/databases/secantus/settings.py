"""The settings where SecantusDB stands in for a mongod."""

from renderhub.settings import *  # noqa: F403
from renderhub.settings import DATABASES

DATABASES["default"]["ENGINE"] = "tests.databases.secantus"

"""The API, the admin and the pages under WSGI, for production; ``asgi.py`` beside it has the sockets."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "renderhub.settings")

application = get_wsgi_application()

from renderhub.checks import refuse_errors  # noqa: E402  # the application must be set up first

refuse_errors()

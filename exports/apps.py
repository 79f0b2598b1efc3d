from django.apps import AppConfig


class ExportsConfig(AppConfig):
    """What customers asked for, and the way from there to the finished file."""

    name = "exports"

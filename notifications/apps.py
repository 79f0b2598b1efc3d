from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    """How users hear of what happened."""

    name = "notifications"

from django.apps import AppConfig


class RenderhubConfig(AppConfig):
    """What the apps share; here for its system checks."""

    name = "renderhub"

    def ready(self) -> None:
        """Register the checks."""
        from renderhub import checks  # noqa: F401  # it registers them

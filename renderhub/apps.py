from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate


class RenderhubConfig(AppConfig):
    """What the apps share; here for its system checks and for the group of the support staff."""

    name = "renderhub"

    def ready(self) -> None:
        """Register the checks, and keep the group's rights."""
        from renderhub import checks, support  # noqa: F401  # the checks register themselves

        # The last app of ours: when it is migrated, the permissions of all of them are there.
        post_migrate.connect(support.keep_group, sender=apps.get_app_config("notifications"))

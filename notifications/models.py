"""What is told to users, and how far it has got."""

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models

from renderhub.ids import uuid7


class Channel(models.TextChoices):
    """The ways to a user."""

    EMAIL = "email", "E-mail"


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    """Deliveries, as found by the sweeper."""

    def due(self, now: datetime) -> Self:
        """Return the deliveries that are to be sent now, the longest due first."""
        return self.filter(status=Delivery.Status.PENDING, due_at__lte=now).order_by("due_at")


class Delivery(models.Model):
    """One message to one user by one channel."""

    class Status(models.TextChoices):
        """How far it has got."""

        PENDING = "pending", "Pending"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # Indexed below, together with the key.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    kind = models.CharField(max_length=50, help_text="What it tells; names its templates.")
    key = models.CharField(max_length=150, help_text="What it is about; each is told once by each channel.")
    channel = models.CharField(max_length=10, choices=Channel)
    context = models.JSONField(default=dict, help_text="What its templates are filled with.")

    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    tries = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(
        null=True, blank=True, help_text="When to send it; while it is being sent, when to take it as lost."
    )
    error = models.CharField(max_length=500, blank=True, help_text="Why the last try failed.")
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        db_table = "deliveries"
        verbose_name_plural = "deliveries"
        constraints = [
            # Whoever writes a notification again, after a crash or beside somebody else, writes nothing.
            models.UniqueConstraint(fields=["key", "channel"], name="deliveries_once")
        ]
        indexes = [
            # Read by: the sweeper. What has been sent, or given up, has no due_at.
            models.Index(fields=["due_at"], name="deliveries_due", condition=models.Q(due_at__isnull=False)),
            # Read by: a user's own deliveries, newest first.
            models.Index(fields=["user", "-id"], name="deliveries_user"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} by {self.channel}"

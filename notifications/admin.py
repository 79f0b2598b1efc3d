"""Support staff see here what users were told, and send again what could not be delivered."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from notifications import services
from notifications.models import Delivery
from renderhub.admin import ReadOnly, log_changes


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs alone
    """Deliveries, with why they failed."""

    list_display = ["id", "kind", "user", "channel", "status", "tries", "error", "created_at", "sent_at"]
    list_filter = ["status", "channel", "kind"]
    list_select_related = ["user"]
    search_fields = ["key", "user__username", "error"]
    readonly_fields = [field.name for field in Delivery._meta.fields]
    actions = ["send_again"]

    @admin.action(description="Send the selected deliveries again", permissions=["change"])
    def send_again(self, request: HttpRequest, deliveries: QuerySet[Delivery]) -> None:
        """Make each delivery that has been given up due now."""
        chosen = list(deliveries)
        due = [
            delivery
            for delivery in chosen
            if services.send_again(delivery_id=delivery.pk, now=timezone.now())
        ]
        log_changes(request, due, "Sent again.")
        self.message_user(request, f"Due now: {len(due)}.", messages.SUCCESS)
        if len(due) < len(chosen):
            self.message_user(
                request,
                f"Left as they are, since they have been sent or still will be: {len(chosen) - len(due)}.",
                messages.WARNING,
            )

"""Support staff find, understand and retry exports here; every change is a service's."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from exports import failures, queue, services
from exports.models import ExportRequest, Project, Render


class ReadOnly:
    """Takes the adding, changing and deleting away: these records are what happened."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        """Nobody adds one."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes one."""
        return False


class RenderInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs alone
    """The renders that an export has cost."""

    model = Render
    extra = 0
    fields = readonly_fields = ("attempt", "render_id", "outcome", "cost_usd", "created_at", "ended_at")


@admin.register(ExportRequest)
class ExportRequestAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs alone
    """Exports, with what failed and what to do about it."""

    list_display = ["id", "title", "user", "status", "attempt", "error_code", "created_at"]
    list_filter = ["status", "codec", "error_code"]
    list_select_related = ["user"]
    search_fields = ["title", "user__username", "render_id", "error_message"]
    date_hierarchy = "created_at"
    actions = ["retry"]
    inlines = [RenderInline]

    def get_readonly_fields(self, request: HttpRequest, obj: ExportRequest | None = None) -> list[str]:
        """Show every field, and the advice that belongs to the failure."""
        return [*(field.name for field in ExportRequest._meta.fields), "advice"]

    @admin.display(description="What to do")
    def advice(self, export: ExportRequest) -> str:
        """Return the advice for the export's failure."""
        failure = failures.by_code(export.error_code)
        return f"{failure.cause} {failure.advice}" if failure else "-"

    @admin.action(description="Retry the selected exports")
    def retry(self, request: HttpRequest, exports: QuerySet[ExportRequest]) -> None:
        """Begin a further attempt of each export that failed or was cancelled."""
        retried = 0
        for export_id in exports.values_list("pk", flat=True):
            try:
                services.retry_export(
                    export_id=export_id, by=request.user, queue=queue.get_queue(), now=timezone.now()
                )
            except services.WrongStatusError as error:
                self.message_user(request, f"{export_id}: {error}", messages.WARNING)
            else:
                retried += 1
        self.message_user(request, f"{retried} exports are rendered again.")


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs alone
    """Projects of all users."""

    list_display = ["title", "user", "composition_id", "codec", "created_at"]
    list_select_related = ["user"]
    search_fields = ["title", "user__username", "composition_id"]


@admin.register(Render)
class RenderAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs alone
    """Every render that was started, wanted or not."""

    list_display = ["render_id", "export", "attempt", "outcome", "cost_usd", "created_at"]
    list_filter = ["outcome"]
    search_fields = ["render_id"]
    readonly_fields = [field.name for field in Render._meta.fields]

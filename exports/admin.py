"""Support staff find, understand, cancel and retry exports here; every change is a service's."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from exports import failures, queue, services
from exports.models import Batch, ExportRequest, Pause, Project, Render
from exports.representations import queue_positions
from exports.states import Status
from renderhub.admin import ReadOnly, log_changes

_MAX_NAMED: Final = 20
"""How many exports an action's answer names; the others are counted."""


class RenderInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]  # generic in the stubs alone
    """The renders that an export has cost."""

    model = Render
    extra = 0
    fields = readonly_fields = ("attempt", "render_id", "outcome", "cost_usd", "created_at", "ended_at")


class ExportChangeList(ChangeList):
    """A page of exports, without what a list doesn't show, and with the places of those that wait."""

    def get_queryset(self, request: HttpRequest, *args: Any, **options: Any) -> QuerySet[ExportRequest]:
        """Leave the heavy fields where they are."""
        return super().get_queryset(request, *args, **options).defer("input_props", "timeline", "errors")

    def get_results(self, request: HttpRequest) -> None:
        """Read the page, and where its exports stand in the line."""
        super().get_results(request)
        positions = queue_positions(self.result_list)
        for export in self.result_list:
            export.queue_position = positions.get(export.pk)


@admin.register(ExportRequest)
class ExportRequestAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs alone
    """Exports, with what failed and what to do about it, and the switch that pauses renders."""

    list_display = [
        "id",
        "title",
        "user",
        "status",
        "place",
        "priority",
        "attempt",
        "error_code",
        "created_at",
    ]
    list_filter = ["status", "priority", "codec", "error_code", "deleted"]
    list_select_related = ["user"]
    search_fields = ["title", "user__username", "render_id", "error_message"]
    date_hierarchy = "created_at"
    actions = ["cancel", "retry"]
    inlines = [RenderInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExportRequest]:
        """Return the exports, without the rows of batches that aren't committed."""
        return super().get_queryset(request).exclude(status=Status.STAGED)

    def get_readonly_fields(self, request: HttpRequest, obj: ExportRequest | None = None) -> list[str]:
        """Show every field, and the advice that belongs to the failure."""
        return [*(field.name for field in ExportRequest._meta.fields), "advice"]

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        """Return the list with places in the line."""
        return ExportChangeList

    @admin.display(description="What to do")
    def advice(self, export: ExportRequest) -> str:
        """Return the advice for the export's failure."""
        failure = failures.by_code(export.error_code)
        return f"{failure.cause} {failure.advice}" if failure else "-"

    @admin.display(description="Place", ordering="slot")
    def place(self, export: ExportRequest) -> str:
        """Return the slot that the export holds, or about how many are let render before it is."""
        if export.slot is not None:
            return f"slot {export.slot}"
        position = getattr(export, "queue_position", None)
        return "-" if position is None else f"waits as number {position}"

    @admin.action(description="Cancel the selected exports", permissions=["change"])
    def cancel(self, request: HttpRequest, exports: QuerySet[ExportRequest]) -> None:
        """Cancel each export that has not ended, and say how far its render could be stopped."""
        # Those that wait go first, so that no freed slot is given to one that is cancelled a moment later.
        rows = sorted(exports.order_by("pk").values_list("slot", "pk"), key=lambda row: row[0] is not None)
        renders: Counter[services.Stopping] = Counter()
        done, refused, unreachable = [], [], []
        for _, export_id in rows:
            try:
                export, stopping = services.cancel_export(
                    export_id=export_id, by=request.user, queue=queue.get_queue(), now=timezone.now()
                )
            except (services.WrongStatusError, services.ExportNotFoundError) as error:
                refused.append(f"{export_id}: {error}")
                continue
            done.append(export)
            if stopping == services.Stopping.UNREACHABLE:
                unreachable.append(f"{export_id}: {stopping.label}")
            else:
                renders[stopping] += 1
        log_changes(request, done, "Cancelled.")
        for stopping, count in renders.items():
            self.message_user(request, f"{count} cancelled. {stopping.label}", messages.SUCCESS)
        self._warn(request, unreachable)
        self._warn(request, refused)

    @admin.action(description="Retry the selected exports", permissions=["change"])
    def retry(self, request: HttpRequest, exports: QuerySet[ExportRequest]) -> None:
        """Begin a further attempt of each export that failed or was cancelled."""
        done, refused = [], []
        # The oldest first, as they then stand in their owners' lanes.
        for export_id in exports.order_by("pk").values_list("pk", flat=True):
            try:
                export = services.retry_export(
                    export_id=export_id, by=request.user, queue=queue.get_queue(), now=timezone.now()
                )
            except (services.WrongStatusError, services.ExportNotFoundError) as error:
                refused.append(f"{export_id}: {error}")
            else:
                done.append(export)
        log_changes(request, done, "Retried.")
        if done:
            self.message_user(request, f"{len(done)} retried.", messages.SUCCESS)
        self._warn(request, refused)

    def get_urls(self) -> list[URLPattern]:
        """Add the switch."""
        return [
            path("pause", self._switch(self.pause_renders), name="exports_exportrequest_pause"),
            path("resume", self._switch(self.resume_renders), name="exports_exportrequest_resume"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list below the switch."""
        return super().changelist_view(
            request,
            {
                **(extra_context or {}),
                "pause": Pause.objects.first(),
                "may_pause": request.user.has_perm("exports.add_pause"),
                "may_resume": request.user.has_perm("exports.delete_pause"),
            },
        )

    def pause_renders(self, request: HttpRequest) -> HttpResponse:
        """Pause renders, where the user has the permission to add a pause."""
        if not request.user.has_perm("exports.add_pause"):
            raise PermissionDenied
        now = timezone.now()
        pause = services.pause_renders(
            by=request.user.get_username(), reason=request.POST.get("reason", "").strip()[:500], now=now
        )
        if pause.since == now:
            self.log_addition(request, pause, pause.reason)
            self.message_user(request, "Renders are paused.", messages.SUCCESS)
        else:
            self.message_user(request, f"Renders were paused already: {pause}.", messages.WARNING)
        return self._to_list()

    def resume_renders(self, request: HttpRequest) -> HttpResponse:
        """Let renders go on, where the user has the permission to delete a pause."""
        if not request.user.has_perm("exports.delete_pause"):
            raise PermissionDenied
        self.log_deletions(request, Pause.objects.all())
        admitted = services.resume_renders(
            by=request.user.get_username(), queue=queue.get_queue(), now=timezone.now()
        )
        self.message_user(request, f"Renders go on. Slots given at once: {admitted}.", messages.SUCCESS)
        return self._to_list()

    def _switch(self, view: Any) -> Any:
        return require_POST(self.admin_site.admin_view(view))

    def _to_list(self) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:exports_exportrequest_changelist"))

    def _warn(self, request: HttpRequest, lines: Sequence[str]) -> None:
        for line in lines[:_MAX_NAMED]:
            self.message_user(request, line, messages.WARNING)
        if len(lines) > _MAX_NAMED:
            self.message_user(request, f"… and {len(lines) - _MAX_NAMED} more.", messages.WARNING)


@admin.register(Batch)
class BatchAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs alone
    """The batches of all users, also those that aren't committed."""

    list_display = ["id", "user", "project", "stage", "total", "accepted", "created_at", "committed_at"]
    list_filter = ["stage"]
    list_select_related = ["user", "project"]
    search_fields = ["user__username", "project__title"]
    readonly_fields = [field.name for field in Batch._meta.fields]


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

from django.urls import path
from rest_framework.routers import SimpleRouter

from exports import views, webhooks

router = SimpleRouter(trailing_slash=False)
router.register("projects", views.ProjectViewSet, basename="project")

urlpatterns = [
    *router.urls,
    path("exports/projects/<uuid:project_id>/export", views.ExportCreateView.as_view(), name="export-create"),
    path("exports/history", views.ExportHistoryView.as_view(), name="export-history"),
    path("exports/webhook", webhooks.receive, name="export-webhook"),
    path("exports/<uuid:export_id>/status", views.ExportStatusView.as_view(), name="export-status"),
    path("exports/<uuid:export_id>/events", views.ExportEventsView.as_view(), name="export-events"),
    path("exports/<uuid:export_id>/cancel", views.ExportCancelView.as_view(), name="export-cancel"),
    path("exports/<uuid:export_id>/retry", views.ExportRetryView.as_view(), name="export-retry"),
]

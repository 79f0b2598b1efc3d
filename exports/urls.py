import re
from typing import Final

from django.urls import path
from rest_framework.routers import SimpleRouter

from exports import webhooks
from exports.views.batches import BatchCreateView, BatchRetryView, BatchView
from exports.views.costs import ExportCostsView
from exports.views.exports import (
    ExportCancelView,
    ExportCreateView,
    ExportEventsView,
    ExportRetryView,
    ExportStatusView,
    ExportView,
)
from exports.views.history import ExportHistoryCsvView, ExportHistoryView
from exports.views.projects import ProjectViewSet

BATCH_PATH: Final = re.compile(r"/api/exports/projects/[^/]+/batch")
"""Where a body may hold ``MAX_BATCH_BYTES``."""

router = SimpleRouter(trailing_slash=False)
router.register("projects", ProjectViewSet, basename="project")

urlpatterns = [
    *router.urls,
    path("exports/projects/<uuid:project_id>/export", ExportCreateView.as_view(), name="export-create"),
    path("exports/costs", ExportCostsView.as_view(), name="export-costs"),
    path("exports/projects/<uuid:project_id>/batch", BatchCreateView.as_view(), name="batch-create"),
    path("exports/batches/<uuid:batch_id>", BatchView.as_view(), name="batch"),
    path("exports/batches/<uuid:batch_id>/retry", BatchRetryView.as_view(), name="batch-retry"),
    path("exports/history", ExportHistoryView.as_view(), name="export-history"),
    path("exports/history.csv", ExportHistoryCsvView.as_view(), name="export-history-csv"),
    path("exports/webhook", webhooks.receive, name="export-webhook"),
    path("exports/<uuid:export_id>", ExportView.as_view(), name="export"),
    path("exports/<uuid:export_id>/status", ExportStatusView.as_view(), name="export-status"),
    path("exports/<uuid:export_id>/events", ExportEventsView.as_view(), name="export-events"),
    path("exports/<uuid:export_id>/cancel", ExportCancelView.as_view(), name="export-cancel"),
    path("exports/<uuid:export_id>/retry", ExportRetryView.as_view(), name="export-retry"),
]

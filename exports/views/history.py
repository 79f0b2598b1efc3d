"""The exports that one has asked for."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListAPIView

from exports.models import ExportRequest
from exports.serializers.history import HistoryItemSerializer
from exports.views.shared import NewestFirst, seen_by


@extend_schema_view(
    get=extend_schema(
        operation_id="listExports", summary="List one's own exports, newest first", tags=["exports"]
    )
)
class ExportHistoryView(ListAPIView[ExportRequest]):
    """One's own exports, newest first."""

    serializer_class = HistoryItemSerializer
    pagination_class = NewestFirst
    queryset = ExportRequest.objects.none()

    def get_queryset(self) -> QuerySet[ExportRequest]:
        """Return the exports that the asker may see, without what a list doesn't show."""
        return seen_by(self.request).defer("input_props", "timeline", "errors")

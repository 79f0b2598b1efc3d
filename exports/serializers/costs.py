"""What exports cost: what is asked, and what is answered."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.utils import timezone
from rest_framework import serializers

from exports.costs import GroupBy
from exports.representations import dollars
from exports.serializers.fields import StrictSerializer

_USUAL: Final = timedelta(days=30)
_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_GROUPS: Final = [each.value for each in GroupBy]
_LONGEST: Final = timedelta(days=366)


class DollarsField(serializers.DecimalField):
    """An amount of US dollars, as a string."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=20, decimal_places=8, min_value=0, **options)

    def to_representation(self, value: Decimal) -> str:
        """Write the amount as every answer does."""
        return dollars(value)


class CostPartsSerializer(serializers.Serializer[Any]):
    """An amount, by what it is paid for."""

    remotion = DollarsField(help_text="Remotion's functions, as Remotion tells.")
    worker = DollarsField(help_text="The worker's function: its own time, and its invocations.")
    queue = DollarsField(help_text="Requests to SQS.")
    storage = DollarsField(help_text="The files in S3, each for as long as the deployment keeps it.")
    transfer = DollarsField(help_text="Each file, sent to the internet once.")


class CostsQuerySerializer(StrictSerializer):
    """What is asked."""

    groupBy = serializers.ChoiceField(source="group_by", choices=_GROUPS, default=GroupBy.DAY)
    createdAfter = serializers.DateTimeField(
        source="after",
        required=False,
        help_text="Counts exports that were asked for at this moment or later; left out: 30 days back.",
    )
    createdBefore = serializers.DateTimeField(
        source="before", required=False, help_text="Counts exports that were asked for before this moment."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Fill in what was left out, and refuse what can't be answered quickly."""
        attrs["group_by"] = GroupBy(attrs["group_by"])
        before = attrs.setdefault("before", timezone.now())
        if before < _FIRST:
            raise serializers.ValidationError({"createdBefore": "There were no exports yet."})
        after = attrs.setdefault("after", before - _USUAL)
        if not timedelta(0) < before - after <= _LONGEST:
            raise serializers.ValidationError(
                {"createdBefore": f"It must be later than createdAfter, by {_LONGEST.days} days at the most."}
            )
        return attrs


class CostsSerializer(serializers.Serializer[Any]):
    """What some exports have cost, and will."""

    exports = serializers.IntegerField(min_value=0)
    running = serializers.IntegerField(min_value=0, help_text="How many of them have not ended.")
    spent = DollarsField(source="spent.total", help_text="What all of them have cost up to now.")
    estimated = DollarsField(help_text="What those that run will probably cost besides.")
    parts = CostPartsSerializer(source="spent", help_text="What was spent, by what it is paid for.")


class _GroupSerializer(serializers.Serializer[Any]):
    key = serializers.CharField(
        allow_null=True, help_text="A day in UTC, a projectId or a status; null: their project is deleted."
    )
    title = serializers.CharField(allow_null=True, help_text="The project's title.")


class CostGroupSerializer(_GroupSerializer, CostsSerializer):
    """The same for the exports of one day, project or status."""


class PricesSerializer(serializers.Serializer[Any]):
    """The prices that an answer was made with."""

    region = serializers.CharField()
    asOf = serializers.DateField(source="as_of", help_text="The day on which these were the prices.")


class CostsAnswerSerializer(serializers.Serializer[Any]):
    """What one's own exports have cost, and will."""

    groupBy = serializers.ChoiceField(
        source="group_by", choices=[(each.value, each.value) for each in GroupBy]
    )
    createdAfter = serializers.DateTimeField(source="after")
    createdBefore = serializers.DateTimeField(source="before")
    currency = serializers.CharField(help_text="USD.")
    prices = PricesSerializer()
    total = CostsSerializer()
    groups = CostGroupSerializer(
        many=True,
        help_text="Days, the newest first; projects, the dearest first, 1,000 at the most; or statuses.",
    )

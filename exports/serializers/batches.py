"""What a request for a batch takes, how its rows are checked, and what is answered to it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from exports.batch_csv import BadRow
from exports.models import Project
from exports.serializers.fields import StrictSerializer
from exports.serializers.orders import ExportOrderSerializer
from exports.services import BatchOrder
from exports.states import SHOWN
from renderhub.exceptions import flat_errors
from renderhub.problems import Problem

MAX_ROWS: Final = 1000

MAX_ERRORS: Final = 1000
"""How many errors of a batch are listed, over all its rows."""


@extend_schema_field(ExportOrderSerializer(many=True))
class _ItemsField(serializers.Field[Any, Any, Any, Any]):
    """The rows; each is checked by itself."""

    def to_internal_value(self, data: Any) -> list[Any]:
        """Refuse what are no rows, or too many."""
        if not isinstance(data, list):
            raise serializers.ValidationError("The rows must be a JSON array.")
        check_number(len(data))
        return data


class BatchOrderSerializer(StrictSerializer):
    """What a batch's request says as JSON."""

    items = _ItemsField(help_text=f"1 to {MAX_ROWS:,} bodies, each as for an export of its own.")


class RowErrorSerializer(serializers.Serializer[Any]):
    """What is wrong with a row."""

    row = serializers.IntegerField(help_text="Its number, from 1; in CSV the first below the header is 1.")
    pointer = serializers.CharField(
        allow_blank=True, help_text="JSON pointer (RFC 6901) within the row, /inputProps/title for a prop."
    )
    detail = serializers.CharField()


class BatchReportSerializer(serializers.Serializer[Any]):
    """What a batch would be."""

    total = serializers.IntegerField(help_text="How many rows were sent.")
    accepted = serializers.IntegerField(help_text="How many of them are right.")
    refused = serializers.IntegerField(help_text="How many are wrong.")
    errors = RowErrorSerializer(  # type: ignore[assignment]  # the wire's name, which DRF uses too
        many=True, help_text=f"What is wrong with those, in their order, {MAX_ERRORS:,} at the most."
    )


class BatchAcceptedSerializer(BatchReportSerializer):
    """The answer to a batch's request."""

    batchId = serializers.UUIDField()
    projectId = serializers.UUIDField(allow_null=True)
    createdAt = serializers.DateTimeField()


class _CountsSerializer(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {status: serializers.IntegerField() for status, _ in SHOWN}


class BatchFailureSerializer(serializers.Serializer[Any]):
    """A row whose export has failed."""

    row = serializers.IntegerField()
    exportId = serializers.UUIDField()
    errorCode = serializers.CharField()
    errorMessage = serializers.CharField()
    retryable = serializers.BooleanField(help_text="Whether trying again can help.")


class BatchSerializer(BatchAcceptedSerializer):
    """How a batch stands."""

    counts = _CountsSerializer(help_text="How many of its exports stand where.")
    progress = serializers.FloatField(min_value=0, max_value=1, help_text="The mean of its exports'.")
    failures = BatchFailureSerializer(many=True, help_text="Those that have failed, by row, 100 on a page.")
    nextAfterRow = serializers.IntegerField(
        allow_null=True, help_text="Of the next page of failures, as `?afterRow=`; null: there is none."
    )


class BatchRetriedSerializer(serializers.Serializer[Any]):
    """The answer to a batch's retry."""

    batchId = serializers.UUIDField()
    retried = serializers.IntegerField(help_text="How many exports had failed and wait again.")


def check_number(rows: int) -> None:
    """Refuse a batch without rows, or with too many."""
    if not 1 <= rows <= MAX_ROWS:
        raise serializers.ValidationError(f"A batch has 1 to {MAX_ROWS:,} rows; this one has {rows:,}.")


def check_rows(items: Sequence[Any], project: Project) -> BatchOrder:
    """Check every row, and return the right ones with what is wrong with the others.

    The project's schema is compiled once, and each composition looked for once.
    """
    serializer = ExportOrderSerializer(context={"project": project})
    orders: dict[int, Any] = {}
    refusals: list[dict[str, Any]] = []
    for row, item in enumerate(items, start=1):
        errors: list[tuple[str, str]] = []
        if isinstance(item, BadRow):
            errors = [("", item.detail)]
        else:
            try:
                orders[row] = serializer.run_validation(item)
            except serializers.ValidationError as error:
                errors = list(flat_errors(error.detail))
            except Problem as problem:
                # A row's props beyond a limit; with a batch, this is an error among others.
                errors = [("/inputProps", str(problem.detail))]
        for pointer, detail in errors[: MAX_ERRORS - len(refusals)]:
            refusals.append({"row": row, "pointer": pointer, "detail": detail})
    return BatchOrder(total=len(items), orders=orders, refusals=refusals)


def report_of(order: BatchOrder) -> dict[str, Any]:
    """Return what a batch would be, JSON-ready."""
    accepted = len(order.orders)
    return {
        "total": order.total,
        "accepted": accepted,
        "refused": order.total - accepted,
        "errors": list(order.refusals),
    }


def order_schema() -> Mapping[str, Any]:
    """Return the fields of an export's request as a JSON Schema that tells their types, without the props."""
    schema = _schema_of(ExportOrderSerializer())
    return {"properties": {name: each for name, each in schema["properties"].items() if name != "inputProps"}}


def _schema_of(field: Any) -> dict[str, Any]:
    if isinstance(field, serializers.BaseSerializer):
        return {"type": "object", "properties": {name: _schema_of(each) for name, each in _fields_of(field)}}
    if isinstance(field, serializers.DictField):
        return {"type": "object", "additionalProperties": _schema_of(field.child)}
    for kind, name in _KINDS.items():
        if isinstance(field, kind):
            return {"type": name}
    return {"type": ["array", "object"]} if isinstance(field, serializers.JSONField) else {"type": "string"}


def _fields_of(serializer: Any) -> list[tuple[str, Any]]:
    return [(name, each) for name, each in serializer.fields.items() if not each.read_only]


_KINDS: Final[dict[Any, str]] = {
    serializers.BooleanField: "boolean",
    serializers.IntegerField: "integer",
    serializers.FloatField: "number",
    serializers.DecimalField: "number",
    serializers.ListField: "array",
}

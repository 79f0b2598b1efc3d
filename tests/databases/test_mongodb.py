"""What our engine makes of MongoDB's own backend."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, models
from django.db.models import Count

from exports.models import ExportRequest, Project
from renderhub.models import RevokedToken
from tests.conftest import NOW
from tests.databases.plans import plans_of

pytestmark = [
    pytest.mark.skipif(connection.vendor != "mongodb", reason="is about MongoDB's engine"),
    pytest.mark.django_db,
]


def indexes(table):
    """Return each index by its columns: whether it is unique, and its condition."""
    database: Any = connection.database  # type: ignore[attr-defined]
    return {
        tuple(index["key"]): (bool(index.get("unique")), index.get("partialFilterExpression"))
        for index in database[table].index_information().values()
    }


def test_a_column_with_an_index_can_be_added():
    field: models.DateTimeField[Any, Any] = models.DateTimeField(null=True, db_index=True)
    field.set_attributes_from_name("added_at")
    field.model = RevokedToken
    with connection.schema_editor() as editor:
        editor.add_field(RevokedToken, field)
        try:
            assert indexes("revoked_tokens")[(("added_at", 1),)] == (False, None)
        finally:
            editor.remove_field(RevokedToken, field)
    assert (("added_at", 1),) not in indexes("revoked_tokens")


def test_primary_keys_are_in_id_and_have_no_index_of_their_own():
    for table in ("export_requests", "revoked_tokens", "django_session", "auth_user", "pauses"):
        assert (("_id", 1),) in indexes(table)
    assert indexes("pauses") == {(("_id", 1),): (False, None)}


def test_unique_columns_that_must_be_set_have_a_plain_unique_index():
    assert indexes("auth_user")[(("username", 1),)] == (True, None)
    assert indexes("renders")[(("render_id", 1),)] == (True, None)
    assert indexes("deliveries")[(("key", 1), ("channel", 1))] == (True, None)


def test_unique_columns_that_may_be_empty_are_restricted_by_a_condition_that_look_ups_imply():
    found = indexes("export_requests")
    assert found[(("slot", 1),)] == (True, {"slot": {"$gte": float("-inf")}})
    assert found[(("user_slot", 1),)] == (True, {"user_slot": {"$gte": ""}})


def test_an_index_without_the_rows_that_have_no_value_has_them_here():
    found = indexes("export_requests")
    assert found[(("due_at", 1),)] == (False, None)
    assert found[(("rank", 1), ("_id", 1))] == (False, None)
    assert found[(("updated_at", 1),)] == (False, {"notify_pending": {"$eq": True}})


@pytest.fixture
def exports(project):
    """Three exports of two users, the second without a moment at which it is due."""
    other = User.objects.create_user("bob")
    about = {"project": project, "created_at": NOW, "queued_at": NOW, "updated_at": NOW}
    return [
        ExportRequest.objects.create(**about, user=user, title=title, due_at=due_at)
        for user, title, due_at in (
            (project.user, "b", NOW),
            (other, "a", None),
            (project.user, "c", NOW - timedelta(seconds=1)),
        )
    ]


def titles(query):
    return [each.title for each in query]


def test_rows_are_sorted_before_they_are_joined_and_projected(exports):
    rows = ExportRequest.objects
    assert titles(rows.order_by("title")) == ["a", "b", "c"]
    assert titles(rows.order_by("-title").select_related("user")[:2]) == ["c", "b"]
    assert titles(rows.filter(user__username="ada").order_by("-title")) == ["c", "b"]
    assert list(rows.order_by("-title").values_list("codec", "title")[1:]) == [("", "b"), ("", "a")]
    queries = (
        rows.order_by("-pk").select_related("user"),
        rows.filter(title="a").order_by("-pk").values("title"),
    )
    for query in queries:
        [plan] = plans_of(partial(list, query))
        assert not plan.is_sorted, plan.text


def test_what_is_no_column_of_the_rows_is_sorted_where_it_is_made(exports):
    rows = ExportRequest.objects
    assert titles(rows.order_by("user__username", "title")) == ["b", "c", "a"]
    counts = rows.values("user__username").annotate(n=Count("pk")).order_by("-n")
    assert [(each["user__username"], each["n"]) for each in counts] == [("ada", 2), ("bob", 1)]
    projects = Project.objects.annotate(n=Count("exports")).order_by("-n", "title")
    assert list(projects.values_list("n", flat=True)) == [3]
    assert rows.order_by("due_at").values_list("due_at", flat=True).distinct()[0] is None


def test_what_is_less_has_a_value_and_what_is_null_has_none(exports):
    rows = ExportRequest.objects
    assert titles(rows.filter(due_at__lt=NOW)) == ["c"]
    assert titles(rows.filter(due_at__lte=NOW).order_by("title")) == ["b", "c"]
    assert titles(rows.exclude(due_at__lte=NOW)) == ["a"]
    assert titles(rows.filter(due_at=None)) == ["a"]
    assert titles(rows.filter(due_at__isnull=False).order_by("title")) == ["b", "c"]
    assert titles(rows.exclude(due_at__lt=NOW).order_by("title")) == ["a", "b"]

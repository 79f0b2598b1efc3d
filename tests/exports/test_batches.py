"""Batches, over HTTP."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from exports import services
from exports.models import Batch, ExportRequest, MetadataPair, Project
from exports.props import props_check
from exports.sweeper import sweep
from tests.exports.test_journey import claim, failed, started

TYPES = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 20},
        "count": {"type": "integer"},
        "ratio": {"type": ["number", "null"]},
        "bright": {"type": "boolean"},
        "labels": {"type": "array", "items": {"type": "string"}},
        "chart": {"$ref": "#/$defs/chart"},
        "a.b": {"type": "integer"},
        "size": {"enum": [1, 2, "large"]},
    },
    "$defs": {"chart": {"type": "object", "properties": {"width": {"anyOf": [{"type": "integer"}]}}}},
    "additionalProperties": False,
}


@pytest.fixture
def post(api, project, sent):
    """Asks for a batch."""

    def post(body, query="", key=None, content_type=None, client=api, to=project):
        if isinstance(body, list):
            body = {"items": body}
        kind = content_type or ("application/json" if isinstance(body, dict) else "text/csv")
        content = json.dumps(body) if isinstance(body, dict) else body
        headers = {} if key is None else {"Idempotency-Key": key}
        path = f"/api/exports/projects/{to.pk}/batch{query}"
        return client.generic("POST", path, content, kind, headers=headers)

    return post


@pytest.fixture
def typed(project):
    Project.objects.update(props_schema=TYPES, input_props={})


def titles(count):
    return [{"inputProps": {"title": f"row {n}"}} for n in range(1, count + 1)]


def kind(answer):
    return answer.status_code, answer.json().get("type", "").rpartition(":")[2]


def rows():
    return list(ExportRequest.objects.order_by("row"))


def look(api, answer, query=""):
    return api.get(f"/api/exports/batches/{answer.json()['batchId']}{query}").json()


# --- Creating -----------------------------------------------------------------------------------------------


def test_every_row_becomes_an_export_in_the_order_of_the_rows(post, api, settings, sent):
    settings.RENDER_MAX_CONCURRENCY = 2
    answer = post([*titles(4), {"priority": "high", "codec": "vp9"}])
    assert answer.status_code == 202, answer.content
    body = answer.json()
    assert (body["total"], body["accepted"], body["refused"], body["errors"]) == (5, 5, 0, [])
    assert answer["Location"].endswith(f"/api/exports/batches/{body['batchId']}")
    made = rows()
    assert [row.row for row in made] == [1, 2, 3, 4, 5]
    assert [row.input_props["title"] for row in made] == ["row 1", "row 2", "row 3", "row 4", "Hello"]
    assert [row.pk for row in made] == sorted(row.pk for row in made)
    assert {(row.status, row.version, len(row.timeline)) for row in made[1:4]} == {("pending", 1, 1)}
    # The high one first, then the first of the others; the next stands in the line.
    assert [str(made[index].pk) for index in (4, 0)] == [message.export_id for message in sent.messages]
    assert [row.rank is not None for row in made] == [False, True, False, False, False]
    shown = api.get("/api/exports/history").json()["results"]
    assert [each["exportId"] for each in shown] == [str(row.pk) for row in reversed(made)]


def test_a_batch_and_its_project_are_only_their_users(post, api, project):
    answer = post(titles(1))
    eve = APIClient()
    eve.force_authenticate(User.objects.create_user("eve"))
    assert post(titles(1), client=eve).status_code == 404
    for method, path in (("get", ""), ("post", "/retry")):
        url = f"/api/exports/batches/{answer.json()['batchId']}{path}"
        assert getattr(eve, method)(url).status_code == 404
        assert getattr(APIClient(), method)(url).status_code == 401


def test_a_wrong_row_refuses_all_and_every_error_is_told_with_its_row(post):
    answer = post(
        [{}, {"inputProps": {"title": 7}, "codec": "betamax"}, 7, {"x": 1}, {"inputProps": {"y": 1}}]
    )
    assert kind(answer) == (400, "batch-invalid")
    body = answer.json()
    assert (body["total"], body["accepted"], body["refused"]) == (5, 1, 4)
    assert [(error["row"], error["pointer"]) for error in body["errors"]] == [
        (2, "/codec"),
        (3, ""),
        (4, "/x"),
        (5, "/inputProps"),
    ]
    assert not ExportRequest.objects.exists()
    assert not Batch.objects.exists()


def test_partial_records_the_right_rows_and_lists_the_wrong_ones(post, api):
    answer = post([{}, {"codec": "betamax"}, {}], "?partial=true")
    body = answer.json()
    assert (answer.status_code, body["accepted"], body["refused"]) == (202, 2, 1)
    assert [error["row"] for error in body["errors"]] == [2]
    assert [row.row for row in rows()] == [1, 3]
    assert look(api, answer)["errors"] == body["errors"]


def test_partial_without_any_right_row_records_nothing(post):
    assert kind(post([{"codec": "betamax"}], "?partial=true")) == (400, "batch-invalid")
    assert not Batch.objects.exists()


@pytest.mark.parametrize("last", [{}, {"codec": "betamax"}])
def test_a_dry_run_tells_the_same_and_records_nothing(post, last, sent):
    answer = post([{}, last], "?dryRun=true", key="k")
    body = answer.json()
    assert answer.status_code == 200
    assert body["refused"] == len(body["errors"]) == bool(last)
    assert not Batch.objects.exists()
    assert not ExportRequest.objects.exists()
    assert post([{}], key="k").status_code == 202


def test_props_beyond_a_limit_are_an_error_of_their_row(post, project):
    Project.objects.update(props_schema=None)
    deep: dict[str, object] = {}
    for _ in range(40):
        deep = {"a": deep}
    body = post([{"inputProps": {"a": "x" * 190_000}}, {"inputProps": deep}, {}]).json()
    assert [(error["row"], error["pointer"]) for error in body["errors"]] == [
        (1, "/inputProps"),
        (2, "/inputProps"),
    ]
    assert "at a URL" in body["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/items"),
        ({"items": {}}, "/items"),
        ({"items": []}, "/items"),
        ({"items": [{}] * 1001}, "/items"),
        ({"items": [{}], "more": 1}, "/more"),
    ],
)
def test_what_is_no_batch_is_refused(post, body, pointer):
    answer = post(body)
    assert kind(answer) == (400, "invalid")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("query", ["?dryRun=1", "?partial=yes", "?partial="])
def test_a_flag_is_true_or_false(post, query):
    answer = post([{}], query)
    assert kind(answer) == (400, "invalid-query")
    assert f"?{answer.json()['errors'][0]['parameter']}=" in query


def test_a_thousand_errors_are_listed_and_all_rows_counted(post):
    body = post([{"codec": "x", "priority": "y", "inputProps": []}] * 1000).json()
    assert (len(body["errors"]), body["refused"]) == (1000, 1000)


def test_a_body_may_be_larger_than_others_and_has_its_own_limit(post, project, settings):
    Project.objects.update(props_schema=None)
    large = [{"inputProps": {"text": "x" * 100_000}} for _ in range(30)]
    assert post(large).status_code == 202
    assert ExportRequest.objects.count() == 30
    for body in ({"items": ["x" * 10_000_000]}, "title\n" + "x" * 10_000_000):
        answer = post(body)
        assert kind(answer) == (413, "body-too-large")
        assert "10,000,000" in answer.json()["detail"]


def test_rows_cost_queries_by_the_hundred(post, django_assert_max_num_queries, monkeypatch):
    looked: list[str] = []
    monkeypatch.setattr("exports.serializers.fields.known_compositions", looked.append)
    compiled: list[Any] = []

    def count(schema):
        compiled.append(schema)
        return props_check(schema)

    monkeypatch.setattr("exports.serializers.orders.props_check", count)
    monkeypatch.setattr(connection.features, "max_query_params", 20_000)
    with django_assert_max_num_queries(75):
        post([{"compositionId": f"M{n % 2}"} for n in range(300)])
    assert (len(looked), len(compiled)) == (2, 1)
    assert ExportRequest.objects.count() == 300


# --- CSV ----------------------------------------------------------------------------------------------------


def csv(*lines):
    return "\r\n".join(lines) + "\r\n"


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_csv_file_is_read_by_rfc_4180(post, typed, mark, end):
    text = f'{mark}title,$codec{end}"a, ""b""\nc",vp9{end}{end}Grüße,{end}'
    assert post(text.encode()).status_code == 202
    assert [(row.input_props, row.codec) for row in rows()] == [
        ({"title": 'a, "b"\nc'}, "vp9"),
        ({"title": "Grüße"}, "h264"),
    ]


def test_what_a_cell_means_is_told_by_the_schema(post, typed):
    lines = (
        "title,count,ratio,bright,labels,chart.width,a.b,size,$priority,$compositionId",
        '007,-3,1.50,TRUE,"[""x""]",640,5,2,low,Other',
        ",,null,false,[],,,large,,",
    )
    assert post(csv(*lines)).status_code == 202
    first, second = rows()
    assert first.input_props == {
        "title": "007",
        "count": -3,
        "ratio": 1.5,
        "bright": True,
        "labels": ["x"],
        "chart": {"width": 640},
        "a.b": 5,
        "size": 2,
    }
    assert (first.priority, first.composition_id) == (3, "Other")
    assert second.input_props == {"ratio": None, "bright": False, "labels": [], "size": "large"}


def test_without_a_schema_every_cell_is_text(post, project):
    Project.objects.update(props_schema=None, input_props={})
    post(csv("n,chart.width", "1,2"))
    assert rows()[0].input_props == {"n": "1", "chart": {"width": "2"}}


def test_cells_of_the_wrong_type_are_errors_at_their_props(post, typed):
    lines = ("count,bright,labels,chart.width", "1.5,yes,[1,x", '1e2,,"{}",x', "1,true,[],2,3")
    answer = post(csv(*lines))
    assert kind(answer) == (400, "batch-invalid")
    found = {(error["row"], error["pointer"]) for error in answer.json()["errors"]}
    assert found == {
        (1, "/inputProps/count"),
        (1, "/inputProps/bright"),
        (1, "/inputProps/labels"),
        (1, "/inputProps/chart/width"),
        (2, "/inputProps/count"),
        (2, "/inputProps/labels"),
        (2, "/inputProps/chart/width"),
        (3, ""),
    }


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("\n", "is empty"),
        ('title\n"a', "Line 2"),
        ('title\n"a"b\n', "Line 2"),
        (b"title\n\xff\n", "not UTF-8"),
        ("title,\na,b", "no name"),
        ("chart..width\n1", "no name"),
        ("title,title\na,b", "twice"),
        ("chart,chart.width\n{},1", "inside of chart"),
        ("$nothing\n1", "There is no field $nothing"),
        ("$inputProps\n{}", "There is no field $inputProps"),
    ],
)
def test_a_csv_file_that_makes_no_sense_is_refused(post, typed, body, words):
    answer = post(body)
    assert kind(answer) == (400, "parse-error")
    assert words in answer.json()["detail"]


def test_a_csv_file_has_rows_and_not_too_many(post, typed):
    assert kind(post("title\n")) == (400, "invalid")
    assert kind(post("title\n" + "a\n" * 1001)) == (400, "invalid")


def test_text_that_cannot_be_stored_is_an_error_of_its_row(post, typed):
    answer = post("title\na\0b\n")
    assert kind(answer) == (400, "batch-invalid")
    assert "U+0000" in answer.json()["errors"][0]["detail"]


def test_csv_in_another_encoding_is_refused(post, typed):
    assert kind(post("title\na", content_type="text/csv; charset=latin1")) == (415, "unsupported-media-type")
    assert post("title\na", content_type="text/csv; charset=UTF-8; header=present").status_code == 202


# --- Once ---------------------------------------------------------------------------------------------------


def test_the_same_batch_with_the_same_key_is_made_once(post, sent):
    first, second = (post(titles(3), key='"k"') for _ in range(2))
    assert second.json() == first.json()
    assert ("Idempotency-Replayed" in first, second["Idempotency-Replayed"]) == (False, "true")
    assert (ExportRequest.objects.count(), len(sent.messages)) == (3, 3)


def test_another_batch_under_the_same_key_is_refused(post, typed, user):
    post("title\na", key="k")
    for body, query in (
        ("title\nb", ""),
        ("title\na", "?partial=true"),
        ([{"inputProps": {"title": "a"}}], ""),
    ):
        assert kind(post(body, query, key="k")) == (422, "idempotency-key-reused")
    other = Project.objects.create(user=user, title="T", composition_id="M")
    assert kind(post("title\na", key="k", to=other)) == (422, "idempotency-key-reused")
    assert Batch.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_identical_batches_at_once_one_is_made(post, settings, sent):
    settings.RENDER_MAX_CONCURRENCY = settings.RENDER_MAX_CONCURRENCY_PER_USER = 3
    answers = []
    ready = threading.Barrier(12)

    def go():
        try:
            ready.wait()
            answers.append(post([{**item, "metadata": {"customer": "c1"}} for item in titles(250)], key="k"))
        finally:
            connection.close()

    threads = [threading.Thread(target=go) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [202] * 12
    assert len({answer.json()["batchId"] for answer in answers}) == 1
    assert [row.row for row in rows()] == list(range(1, 251))
    assert {row.status for row in rows()} == {"pending"}
    assert len(sent.messages) == 3
    assert Batch.objects.get().stage == "released"
    assert MetadataPair.objects.count() == 250


class Died(BaseException):
    """The process is no more."""


def die(monkeypatch, post, name, after=0, **more):
    """Ask for a batch of 250 rows in a process that dies at the call of a function."""
    import exports.services.batches as module

    calls: list[int] = []
    real = getattr(module, name)

    def last(*args, **options):
        if len(calls) == after:
            raise Died
        calls.append(1)
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, last)
        with pytest.raises(Died):
            post([{**item, **more} for item in titles(250)], key="k")


BEFORE = [("_stage_rows", 0), ("_staged", 0), ("_staged", 150), ("_commit", 0)]
AFTER = [("_release", 0), ("look", 0), ("admit", 0)]


@pytest.fixture
def whole_sweep(monkeypatch, sent):
    monkeypatch.setattr("exports.sweeper.close_old_connections", lambda: None)
    monkeypatch.setattr("exports.sweeper.get_queue", lambda: sent)
    return sweep


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("where", "after"), BEFORE)
def test_of_a_batch_whose_server_died_nothing_renders_until_the_same_key_completes_it(
    post, api, monkeypatch, where, after, whole_sweep, sent
):
    die(monkeypatch, post, where, after)
    whole_sweep()
    assert ExportRequest.objects.count() == min(after // 100 * 100, 250) if where == "_staged" else True
    assert sent.messages == []
    assert api.get("/api/exports/history").json()["results"] == []
    batch = Batch.objects.get()
    for path in (f"batches/{batch.pk}", *(f"{row.pk}/status" for row in rows()[:1])):
        assert api.get(f"/api/exports/{path}").status_code == 404
    for row in rows()[:1]:
        for act in ("cancel", "retry"):
            assert api.post(f"/api/exports/{row.pk}/{act}").status_code == 404
    answer = post(titles(250), key="k")
    assert (answer.status_code, answer.json()["batchId"]) == (202, str(batch.pk))
    assert [(row.row, row.status) for row in rows()] == [(n, "pending") for n in range(1, 251)]
    assert [row.input_props["title"] for row in rows()] == [f"row {n}" for n in range(1, 251)]
    assert len(sent.messages) == 5


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize(("where", "after"), AFTER)
def test_a_batch_whose_server_died_once_it_was_committed_goes_on(
    post, api, monkeypatch, where, after, again, whole_sweep, sent
):
    die(monkeypatch, post, where, after)
    if again:
        assert post(titles(250), key="k")["Idempotency-Replayed"] == "true"
    whole_sweep()
    assert [(row.row, row.status) for row in rows()] == [(n, "pending") for n in range(1, 251)]
    assert [message.export_id for message in sent.messages] == [str(row.pk) for row in rows()[:5]]
    assert Batch.objects.get().stage == "released"


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_is_completed_after_its_project_has_changed_is_made_anew(
    post, api, monkeypatch, project, sent
):
    die(monkeypatch, post, "_commit")
    left = Batch.objects.get()
    answer = api.patch(f"/api/projects/{project.pk}", {"codec": "vp9"})
    assert answer.status_code == 200
    made = post(titles(250), key="k").json()["batchId"]
    assert made != str(left.pk)
    mine = ExportRequest.objects.filter(batch_id=made)
    assert {row.codec for row in mine} == {"vp9"}
    assert mine.count() == 250
    left.refresh_from_db()
    assert (left.stage, left.idempotency_key) == ("discarded", None)


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_nobody_completes_is_deleted_with_its_rows(post, monkeypatch, sent):
    die(monkeypatch, post, "_commit", metadata={"customer": "c1"})
    asked_at = Batch.objects.get().created_at
    delete = services.delete_uncommitted_batches
    assert delete(now=asked_at + timedelta(hours=23, minutes=59)) == 0
    assert Batch.objects.get().stage == "staged"
    assert delete(now=asked_at + timedelta(hours=24)) == 0
    assert (Batch.objects.get().stage, ExportRequest.objects.count()) == ("discarded", 250)
    assert delete(now=asked_at + timedelta(hours=25)) == 1
    assert not Batch.objects.exists()
    assert not ExportRequest.objects.exists()
    assert not MetadataPair.objects.exists()
    assert post(titles(1), key="k").status_code == 202


def test_a_committed_batch_is_kept_and_its_key_forgotten_after_a_day(post):
    post(titles(2), key="k")
    later = timezone.now() + timedelta(days=3)
    assert services.delete_uncommitted_batches(now=later) == 0
    assert services.forget_keys(now=later - timedelta(days=2.5)) == 0
    assert services.forget_keys(now=later) == 1
    assert (Batch.objects.count(), ExportRequest.objects.count()) == (1, 2)
    assert post(titles(2), key="k").status_code == 202
    assert Batch.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_support_staff_see_a_batch_that_is_not_committed_and_not_its_rows(post, admin_client, monkeypatch):
    die(monkeypatch, post, "_commit")
    page = admin_client.get("/admin/exports/batch/").content.decode()
    assert "Rows are being inserted" in page
    assert "0 exports" in admin_client.get("/admin/exports/exportrequest/").content.decode()


def test_a_project_with_an_abandoned_batch_can_be_deleted(post, api, project, monkeypatch):
    post(titles(1))
    ExportRequest.objects.update(status="staged", slot=None, user_slot=None, due_at=None)
    assert api.delete(f"/api/projects/{project.pk}").status_code == 204


# --- How it stands ------------------------------------------------------------------------------------------


def test_a_batch_tells_how_many_stand_where_and_which_have_failed(post, api, report, outputs):
    answer = post(titles(4))
    first, second, *_ = rows()
    for row in (first, second):
        report(claim(row))
        report(started(row, f"r{row.row}"))
    report(failed(first, "The chart has no data", "r1"))
    ExportRequest.objects.filter(pk=second.pk).update(progress=0.5)
    seen = look(api, answer)
    assert seen["counts"] == {"pending": 2, "processing": 1, "completed": 0, "failed": 1, "cancelled": 0}
    assert seen["progress"] == 0.125
    [failure] = seen["failures"]
    assert (failure["row"], failure["exportId"]) == (1, str(first.pk))
    assert failure["errorMessage"] == "The chart has no data"
    assert (seen["total"], seen["nextAfterRow"]) == (4, None)


def test_failures_come_in_pages_and_cost_a_fixed_number_of_queries(post, api, django_assert_num_queries):
    answer = post(titles(150))
    ExportRequest.objects.update(status="failed", slot=None, user_slot=None, due_at=None)
    with django_assert_num_queries(4):
        first = look(api, answer)
    assert [each["row"] for each in first["failures"]] == list(range(1, 101))
    second = look(api, answer, f"?afterRow={first['nextAfterRow']}")
    assert [each["row"] for each in second["failures"]] == list(range(101, 151))
    assert second["nextAfterRow"] is None
    for wrong in ("x", "-1", "1" * 30):
        path = f"/api/exports/batches/{answer.json()['batchId']}?afterRow={wrong}"
        assert kind(api.get(path)) == (400, "invalid-query")


def test_the_failed_rows_alone_are_tried_again(post, api, sent):
    answer = post(titles(6))
    one, two, three, four, *_ = rows()
    end = {"slot": None, "user_slot": None, "due_at": None, "rank": None}
    ExportRequest.objects.filter(pk__in=[one.pk, two.pk]).update(status="failed", error_message="x", **end)
    ExportRequest.objects.filter(pk=three.pk).update(status="cancelled", **end)
    ExportRequest.objects.filter(pk=four.pk).update(status="completed", **end)
    path = f"/api/exports/batches/{answer.json()['batchId']}/retry"
    again = api.post(path)
    assert (again.status_code, again.json()["retried"]) == (202, 2)
    made = rows()
    assert [row.attempt for row in made] == [2, 2, 1, 1, 1, 1]
    assert [row.status for row in made] == [
        "pending",
        "pending",
        "cancelled",
        "completed",
        "pending",
        "pending",
    ]
    assert made[0].error_message == ""
    assert [message.export_id for message in sent.messages[-2:]] == [str(one.pk), str(two.pk)]
    assert api.post(path).json()["retried"] == 0

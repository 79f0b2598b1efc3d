import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder


def test_a_living_process_says_so_without_the_database(client):
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer["Cache-Control"] == "no-store"


def test_a_ready_process_names_its_parts(client, db):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["database"]) == (200, "ok")


def test_a_load_balancer_may_ask_by_an_address_that_is_no_allowed_host(client):
    assert client.get("/healthz", headers={"Host": "10.0.0.7:8000"}).status_code == 200
    assert client.get("/api/docs", headers={"Host": "10.0.0.7:8000"}).status_code == 400


def test_without_its_database_a_process_is_not_ready_and_keeps_the_reason_to_itself(client, db, monkeypatch):
    def fail(*_):
        raise OperationalError("no route to db.internal as user renderhub")

    with monkeypatch.context() as patch:
        patch.setattr(connection.introspection, "table_names", fail)
        answer = client.get("/readyz")
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")
    assert answer.json()["part"] == "database"
    assert b"db.internal" not in answer.content


@pytest.mark.django_db
def test_without_a_migration_of_this_version_a_process_is_not_ready(client):
    MigrationRecorder(connection).record_unapplied("exports", "0002_line")
    answer = client.get("/readyz")
    MigrationRecorder(connection).record_applied("exports", "0002_line")
    assert (answer.status_code, answer.json()["part"]) == (503, "migrations")


def test_other_methods_and_addresses_are_not_the_probes(client, db):
    assert client.post("/healthz").status_code == 404
    assert client.get("/healthz/").status_code == 404

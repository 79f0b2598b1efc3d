import pytest
from django.core.exceptions import ImproperlyConfigured

from renderhub.databases import MONGODB, database


def test_a_file_makes_its_writers_wait_for_each_other():
    found = database("sqlite:////var/lib/renderhub/db.sqlite3")
    assert found["ENGINE"] == "django.db.backends.sqlite3"
    assert found["NAME"] == "/var/lib/renderhub/db.sqlite3"
    assert found["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in found["OPTIONS"]["init_command"]


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_postgresql_is_reached_by_its_url(scheme):
    found = database(f"{scheme}://ada:p%2Fw%3A%40@db.example.com:5433/renderhub?sslmode=require")
    assert found["ENGINE"] == "django.db.backends.postgresql"
    assert (found["HOST"], found["PORT"], found["NAME"]) == ("db.example.com", 5433, "renderhub")
    assert (found["USER"], found["PASSWORD"]) == ("ada", "p/w:@")
    assert found["OPTIONS"]["sslmode"] == "require"


def test_postgresql_keeps_its_connections_and_hands_out_none_that_is_dead():
    found = database("postgres://db.example.com/renderhub")
    pool = found["OPTIONS"]["pool"]
    assert pool["max_size"] == 20
    # It looks for a server that is away no longer than a request waits: the next request looks again at once.
    assert pool["reconnect_timeout"] == pool["timeout"]
    assert found["CONN_HEALTH_CHECKS"] is True
    # Django refuses a pool beside connections of a thread's own.
    assert found["CONN_MAX_AGE"] == 0


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://ada:p%2Fw@one:27017,two:27017/renderhub?replicaSet=rs0",
        "mongodb+srv://ada:p%2Fw@cluster.example.mongodb.net/renderhub",
    ],
)
def test_mongodb_acknowledges_what_survives_the_loss_of_the_primary(url):
    found = database(url)
    assert (found["ENGINE"], found["HOST"], found["NAME"]) == (MONGODB, url, "renderhub")
    assert found["OPTIONS"] == {"w": "majority", "journal": True, "serverSelectionTimeoutMS": 5000}


def test_what_the_url_says_of_mongodb_is_not_overruled():
    found = database("mongodb://db.example.com/renderhub?w=1&serverSelectionTimeoutMS=100")
    assert found["OPTIONS"] == {}


@pytest.mark.parametrize(
    "url",
    [
        "oracle://ada:secret@db.example.com/renderhub",
        "ada:secret@db.example.com/renderhub",
        "postgres//ada:secret@db.example.com",
        "postgres://ada:secret@db.example.com:port/renderhub",
        "postgres://ada:se[cret@db.example.com/renderhub",
        "mongodb://ada:secret@db.example.com",
        "mongodb://ada:secret@db.example.com/",
        "mongodb://ada:secret@[db/renderhub",
        "mongodb://ada:secret@one,two:port/renderhub",
        "mongodb://ada:se/cret@db.example.com/renderhub",
    ],
)
def test_a_bad_address_is_refused_without_being_shown(url):
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL must") as refused:
        database(url)
    text = f"{refused.value} {refused.value.__cause__} {refused.value.__suppress_context__}"
    assert "cret" not in text
    assert text.endswith("True") or refused.value.__context__ is None

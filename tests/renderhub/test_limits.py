"""How often one may ask, over HTTP."""

import re
import shutil
import subprocess
from datetime import timedelta
from ipaddress import ip_network
from types import SimpleNamespace

import pytest
import time_machine
from django.core.cache import caches
from django.core.cache.backends.redis import RedisCache
from django.test import Client
from rest_framework.test import APIClient

from localcloud import ports
from renderhub import limits
from tests.conftest import NOW
from tests.routes import routes

SIGN_IN = "/api/auth/token"
PAIR = {"username": "ada", "password": "pass-word-1"}


@pytest.fixture
def limit(settings):
    """Sets a limit: so many calls in so many seconds."""

    def limit(name, calls, period_s=60):
        settings.LIMITS = {**settings.LIMITS, name: (calls, period_s)}

    return limit


@pytest.fixture(autouse=True)
def reachable(monkeypatch):
    monkeypatch.setattr(limits, "_counting_again_at", 0.0)


def refused(answer, name):
    """Make sure that an answer refuses for this limit, and return the seconds until the next try."""
    assert (answer.status_code, answer["Content-Type"]) == (429, "application/problem+json")
    body = answer.json()
    assert (body["type"], body["status"]) == ("urn:renderhub:problem:rate-limited", 429)
    assert body["violatedPolicies"] == [name]
    assert "Try again in" in body["detail"]
    left = re.search(rf'"{name}";r=0;t=(\d+)', answer["RateLimit"])
    assert left is not None, answer["RateLimit"]
    assert answer["Retry-After"] == left[1]
    return int(left[1])


def test_an_answer_tells_what_is_left_and_the_refusal_when_to_come_again(api, limit):
    limit("reads", 2)
    for left in (1, 0):
        answer = api.get("/api/projects")
        assert answer.status_code == 200
        assert answer["RateLimit-Policy"] == '"reads";q=2;w=60'
        assert re.fullmatch(rf'"reads";r={left};t=([1-9]|[1-5]\d|60)', answer["RateLimit"])
        assert "Retry-After" not in answer
    assert 1 <= refused(api.get("/api/projects"), "reads") <= 60


def test_after_the_seconds_that_it_names_and_not_before_one_may_ask_again(user, limit):
    limit("reads", 1)
    api = APIClient()
    api.force_authenticate(user)
    with time_machine.travel(NOW, tick=False) as clock:
        assert api.get("/api/projects").status_code == 200
        wait_s = refused(api.get("/api/projects"), "reads")
        clock.shift(timedelta(seconds=wait_s - 1))
        assert refused(api.get("/api/projects"), "reads") == 1
        clock.shift(timedelta(seconds=1))
        answer = api.get("/api/projects")
    assert answer.status_code == 200
    assert answer["RateLimit"] == '"reads";r=0;t=60'


def test_users_are_counted_each_for_themselves_wherever_they_come_from(api, limit, django_user_model):
    limit("reads", 1)
    other = APIClient()
    other.force_authenticate(django_user_model.objects.create_user("eve"))
    assert api.get("/api/projects", REMOTE_ADDR="198.51.100.1").status_code == 200
    assert other.get("/api/projects", REMOTE_ADDR="198.51.100.1").status_code == 200
    refused(api.get("/api/projects", REMOTE_ADDR="198.51.100.2"), "reads")


def test_reads_writes_and_exports_are_counted_apart(api, project, sent, limit):
    for name in ("reads", "writes", "exports"):
        limit(name, 1)
    path = f"/api/exports/projects/{project.pk}/export"
    made = api.post(path, {})
    assert (made.status_code, made["RateLimit-Policy"]) == (202, '"exports";q=1;w=60')
    refused(api.post(path, {}), "exports")
    status = f"/api/exports/{made.json()['exportId']}/status"
    assert api.get(status).status_code == 200
    refused(api.get(status), "reads")
    cancel = api.post(f"/api/exports/{made.json()['exportId']}/cancel")
    assert (cancel.status_code, cancel["RateLimit-Policy"]) == (200, '"writes";q=1;w=60')
    refused(api.patch(f"/api/projects/{project.pk}", {"title": "U"}), "writes")
    assert project.exports.count() == 1


def test_what_is_refused_for_another_reason_counts_too(api, limit):
    limit("writes", 1)
    assert api.post("/api/projects", {"nonsense": 1}).status_code == 400
    refused(api.post("/api/projects", {}), "writes")


def test_whoever_is_not_signed_in_is_counted_by_address(client, user, limit, settings):
    limit("tokens", 1)
    settings.TRUSTED_PROXIES = (ip_network("127.0.0.0/8"),)

    def refresh(address):
        body = {"refresh": "x"}
        headers = {"X-Forwarded-For": f"9.9.9.9, {address}"}
        return client.post("/api/auth/token/refresh", body, "application/json", headers=headers)

    assert refresh("198.51.100.1").status_code == 401
    refused(refresh("198.51.100.1"), "tokens")
    assert refresh("198.51.100.2").status_code == 401
    assert refresh("2001:db8::1").status_code == 401
    refused(refresh("2001:db8::2"), "tokens")


def test_a_forged_address_gains_nothing(client, db, limit):
    limit("sign-in", 2)

    def guess(n):
        headers = {"X-Forwarded-For": f"198.51.100.{n}"}
        return client.post(SIGN_IN, PAIR, "application/json", headers=headers)

    assert [guess(n).status_code for n in range(4)] == [401, 401, 429, 429]


@pytest.fixture
def ways_in():
    """Tries a name and a password at each place where one can, and returns the status of the answer."""
    client = Client()

    def by_form(path):
        return lambda **pair: client.post(path, pair, REMOTE_ADDR=pair.pop("address"))

    def by_api(**pair):
        return client.post(SIGN_IN, pair, "application/json", REMOTE_ADDR=pair.pop("address"))

    forms = {path: by_form(path) for path in ("/login", "/admin/login/", "/api-auth/login/")}
    return {SIGN_IN: by_api, **forms}


WAYS_IN = ("/api/auth/token", "/login", "/admin/login/", "/api-auth/login/")


@pytest.mark.parametrize("way", WAYS_IN)
def test_one_address_tries_so_many_passwords_at_each_way_in(way, ways_in, user, limit):
    limit("sign-in", 2)
    tries = [ways_in[way](username=f"u{n}", password="x", address="198.51.100.1") for n in range(3)]
    assert [each.status_code == 429 for each in tries] == [False, False, True]
    assert '"sign-in";q=2;w=60' in tries[0]["RateLimit-Policy"]
    assert int(tries[2]["Retry-After"]) > 0
    other = ways_in[way](username="ada", password="pass-word-1", address="198.51.100.2")
    assert other.status_code in (200, 302)


@pytest.mark.parametrize("way", WAYS_IN)
def test_a_name_has_so_many_wrong_passwords_from_wherever_they_come(way, ways_in, user, limit):
    limit("sign-in-name", 2, 3600)
    for number, door in enumerate(("/login", SIGN_IN)):
        ways_in[door](username="ada", password="wrong", address=f"198.51.100.{number}")
    right = ways_in[way](username="ada", password="pass-word-1", address="198.51.100.9")
    assert right.status_code == 429
    assert int(right["Retry-After"]) <= 3600
    # Another name is another matter, and no one learns whether it is anybody's.
    assert ways_in[way](username="eve", password="x", address="198.51.100.9").status_code in (200, 401)


def test_right_passwords_are_not_counted_for_the_name(ways_in, user, limit):
    limit("sign-in-name", 1)
    for _ in range(3):
        answer = ways_in[SIGN_IN](**PAIR, address="198.51.100.1")
        assert answer.status_code == 200
        assert "sign-in-name" not in answer["RateLimit"]


def test_a_page_says_how_long_to_wait(client, db, limit):
    limit("sign-in", 1)
    for _ in range(2):
        answer = client.post("/login", {"username": "ada", "password": "x"})
    assert answer.status_code == 429
    assert re.search(r"Wait \d+ seconds?", answer.content.decode())
    assert "default-src 'none'" in answer["Content-Security-Policy"]


def test_a_client_that_signs_itself_in_is_not_counted(client, user, limit):
    limit("sign-in", 1)
    assert all(client.login(**PAIR) for _ in range(3))


UNLIMITED = {
    # Well-signed reports must come through, however many; to refuse others costs one HMAC.
    "/api/exports/webhook",
    # Nothing is there.
    "/api/",
}


def test_every_route_of_the_api_has_a_limit_or_is_named_here(settings):
    found = {route.path: route.view for route in routes() if route.path.startswith("/api/")}
    assert len(found) > 10
    assert set(found) >= UNLIMITED
    for route, view in found.items():
        if route in UNLIMITED:
            continue
        assert view is not None, route
        assert limits.Limits in view.throttle_classes, route
        assert {limits.limit_of(view, method) for method in ("GET", "POST")} <= set(settings.LIMITS), route


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_never_limited(client, db, limit, path):
    for name in ("reads", "writes"):
        limit(name, 1)
    answers = [client.get(path) for _ in range(3)]
    assert all(answer.status_code == 200 and "RateLimit" not in answer for answer in answers)


def test_well_signed_reports_are_never_limited(report, export, limit, settings):
    from lambda_worker.contract import RenderStarted

    for name in settings.LIMITS:
        limit(name, 1)
    claim = RenderStarted(export_id=str(export.pk), attempt=1, token="t", version=export.version)
    assert [report(claim).json()["action"] for _ in range(3)] == ["render"] * 3


@pytest.fixture
def counters(monkeypatch):
    """Puts other counters in the place of the memory's."""

    def put(cache):
        monkeypatch.setattr("django_ratelimit.core.caches", {"limits": cache})

    return put


def redis_at(port):
    return RedisCache(f"redis://127.0.0.1:{port}/0", {"OPTIONS": {"socket_connect_timeout": 0.5}})


def test_without_its_counters_the_api_works_on_and_says_so_once(api, user, client, counters, limit, caplog):
    limit("reads", 1)
    counters(redis_at(1))
    answers = [api.get("/api/projects") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert not any("RateLimit" in answer for answer in answers)
    assert client.post(SIGN_IN, PAIR, "application/json").status_code == 200
    assert caplog.text.count("limits.unreachable") == 1


def test_once_they_are_there_again_calls_are_counted_again(api, counters, limit, monkeypatch):
    limit("reads", 1)
    counters(redis_at(1))
    monkeypatch.setattr(limits, "_UNREACHABLE_S", 0.0)
    assert api.get("/api/projects").status_code == 200
    counters(caches["limits"])
    assert api.get("/api/projects")["RateLimit"].startswith('"reads";r=0')


def test_counters_that_were_thrown_away_let_the_call_through(api, counters, limit):
    limit("reads", 1)

    def vanish(key):
        raise ValueError("Key not found")

    counters(SimpleNamespace(add=lambda *_: False, incr=vanish))
    assert api.get("/api/projects").status_code == 200


@pytest.fixture
def redis_server(tmp_path):
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("redis-server is missing: apt-get install redis-server")
    port = ports.choose_port(0)
    command = [server, "--port", str(port), "--bind", ports.HOST, "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            assert ports.wait_until_listening(port, timeout_s=20)
            yield port
        finally:
            process.terminate()


@pytest.mark.slow
def test_processes_that_share_a_redis_share_their_counts(api, counters, limit, redis_server):
    limit("reads", 3)
    seen = []
    for _ in range(4):
        # Each with a connection of its own, as each process has.
        counters(redis_at(redis_server))
        answer = api.get("/api/projects")
        seen.append((answer.status_code, re.sub(r";t=\d+", "", answer["RateLimit"])))
    assert seen == [
        (200, '"reads";r=2'),
        (200, '"reads";r=1'),
        (200, '"reads";r=0'),
        (429, '"reads";r=0'),
    ]

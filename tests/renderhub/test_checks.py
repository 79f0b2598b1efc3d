from ipaddress import ip_network

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

from renderhub import checks


@pytest.fixture
def found(monkeypatch, settings):
    """The ids of what the checks find, where the server was started with some arguments."""
    settings.DEBUG = True

    def found(*arguments):
        monkeypatch.setattr("sys.argv", ["server", *arguments])
        messages = run_checks(tags=[checks.TAG])
        assert all(each.hint for each in messages)
        return [each.id for each in messages]

    return found


def test_one_process_on_one_machine_is_right(found):
    assert found() == []


@pytest.mark.parametrize("arguments", [["--workers", "2"], ["--workers=4"], ["-w", "3", "app:application"]])
def test_several_processes_need_redis(found, settings, arguments):
    assert found(*arguments) == ["renderhub.E001"]
    with pytest.raises(ImproperlyConfigured, match=r"REDIS_URL.*renderhub\.E001"):
        checks.refuse_errors()
    settings.REDIS_URL = "redis://localhost"
    assert found(*arguments) == []
    checks.refuse_errors()


@pytest.mark.parametrize("arguments", [["--workers", "1"], ["--workers", "many"], ["check", "--workers-"]])
def test_one_worker_and_what_is_no_number_are_no_error(found, arguments):
    assert found(*arguments) == []


def test_processes_may_be_told_by_the_environment(found, settings):
    settings.WEB_WORKERS = 2
    assert found() == ["renderhub.E001"]


def test_production_in_memory_is_told_of(found, settings):
    settings.DEBUG = False
    assert found() == ["renderhub.W001"]
    checks.refuse_errors()


def test_to_trust_everybody_is_an_error(found, settings):
    settings.TRUSTED_PROXIES = (ip_network("10.0.0.0/8"), ip_network("::/0"))
    assert found() == ["renderhub.E002"]


def test_https_without_a_trusted_proxy_is_told_of(found, settings):
    settings.DEBUG, settings.USE_HTTPS, settings.REDIS_URL = False, True, "redis://localhost"
    assert found() == ["renderhub.W002"]
    settings.TRUSTED_PROXIES = (ip_network("10.0.0.0/8"),)
    assert found() == []


def test_django_ratelimits_own_check_is_silent_exactly_where_memory_counts(settings):
    assert settings.SILENCED_SYSTEM_CHECKS == ["django_ratelimit.W001", "django_ratelimit.E003"]
    loud = {each.id for each in run_checks() if not each.is_silenced()}
    assert not loud & {"django_ratelimit.E001", "django_ratelimit.E002"}

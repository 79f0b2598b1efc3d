from datetime import UTC, datetime

import pytest
from django.core.exceptions import ImproperlyConfigured

from renderhub.environment import Environment
from renderhub.ids import first_uuid7, uuid7


def test_what_is_set_is_read_by_its_type():
    env = Environment({"A": " x ", "F": "on", "N": "3", "S": "0.5", "L": "a, b,,"})
    assert env.text("A") == "x"
    assert env.required("A", "something") == "x"
    assert env.flag("F", default=False) is True
    assert env.integer("N", 1) == 3
    assert env.seconds("S", 1) == 0.5
    assert env.items("L") == ("a", "b")


def test_what_is_unset_has_its_default():
    env = Environment({"EMPTY": ""})
    assert env.text("EMPTY", "x") == "x"
    assert env.flag("F", default=True) is True
    assert env.integer("N", 7) == 7
    assert env.items("L", ("x",)) == ("x",)


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "nan"])
def test_a_bad_number_is_refused_by_name(value):
    with pytest.raises(ImproperlyConfigured, match=r"^N is"):
        Environment({"N": value}).integer("N", 1)


def test_a_time_span_that_is_no_number_is_refused():
    with pytest.raises(ImproperlyConfigured, match="least"):
        Environment({"S": "nan"}).seconds("S", 1)


def test_a_bad_flag_and_a_missing_variable_say_what_to_do():
    with pytest.raises(ImproperlyConfigured, match="set it to 1 or 0"):
        Environment({"F": "perhaps"}).flag("F", default=True)
    with pytest.raises(ImproperlyConfigured, match=r"KEY must be set.*: a random text"):
        Environment({}).required("KEY", "a random text")


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/m", (10, 60)),
        ("100/5m", (100, 300)),
        ("1000/h", (1000, 3600)),
        ("1/s", (1, 1)),
        ("7/2d", (7, 172800)),
    ],
)
def test_a_rate_is_a_number_in_so_many_seconds(text, rate):
    assert Environment({"R": text}).rate("R", "1/s") == rate
    assert Environment({}).rate("R", text) == rate


@pytest.mark.parametrize("text", ["10", "0/m", "10/0m", "-1/m", "10/w", "m", "10/m/s", "1e3/m", "10/mx"])
def test_a_bad_rate_is_refused_by_name(text):
    with pytest.raises(ImproperlyConfigured, match=r"^R is .*10/m"):
        Environment({"R": text}).rate("R", "1/s")


def test_networks_are_listed_in_cidr_notation():
    networks = Environment({"P": "10.0.0.0/16, 2001:db8::/32,192.0.2.7"}).networks("P")
    assert [str(each) for each in networks] == ["10.0.0.0/16", "2001:db8::/32", "192.0.2.7/32"]
    assert Environment({}).networks("P") == ()


@pytest.mark.parametrize("text", ["10.0.0.1/16", "10.0.0.0/33", "proxy.internal", "*"])
def test_a_bad_network_is_refused_by_name(text):
    with pytest.raises(ImproperlyConfigured, match=r"^P has .*10\.0\.0\.0/16"):
        Environment({"P": text}).networks("P")


def test_keys_are_ordered_by_time_and_of_version_7():
    first = uuid7()
    assert (first.version, first.variant) == (7, "specified in RFC 4122")
    assert min(uuid7().int >> 80 for _ in range(3)) >= first.int >> 80


def test_keys_of_one_moment_are_ordered_as_they_were_made():
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    keys = [uuid7(at) for _ in range(1000)]
    assert keys == sorted(keys)
    assert len(set(keys)) == 1000
    assert {(key.version, key.variant, key.int >> 80) for key in keys} == {
        (7, "specified in RFC 4122", 1767323045678)
    }


@pytest.mark.parametrize(("microseconds", "is_before"), [(677000, True), (678000, True), (678001, False)])
def test_a_key_lies_beyond_the_first_of_its_millisecond(microseconds, is_before):
    made = uuid7(datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))
    assert (first_uuid7(datetime(2026, 1, 2, 3, 4, 5, microseconds, tzinfo=UTC)) <= made) is is_before


SMTP = {
    "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
    "EMAIL_HOST": "mail.example.com",
    "EMAIL_PORT": 587,
    "EMAIL_HOST_USER": "",
    "EMAIL_HOST_PASSWORD": "",
    "EMAIL_USE_SSL": False,
    "EMAIL_USE_TLS": True,
    "EMAIL_TIMEOUT": 20,
}
SIGNED_IN = {"EMAIL_HOST_USER": "ada@example.com", "EMAIL_HOST_PASSWORD": "p/w:?@"}


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("smtp://mail.example.com", SMTP),
        ("smtp://mail.example.com:25?starttls=0", {**SMTP, "EMAIL_PORT": 25, "EMAIL_USE_TLS": False}),
        ("smtp://ada%40example.com:p%2Fw%3A%3F%40@mail.example.com", {**SMTP, **SIGNED_IN}),
        (
            "smtps://mail.example.com",
            {**SMTP, "EMAIL_PORT": 465, "EMAIL_USE_SSL": True, "EMAIL_USE_TLS": False},
        ),
        ("console:", {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}),
        (
            "file:///var/mail?from=videos%40example.com",
            {
                "EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend",
                "EMAIL_FILE_PATH": "/var/mail",
                "DEFAULT_FROM_EMAIL": "videos@example.com",
            },
        ),
    ],
)
def test_mail_settings_come_from_one_url(url, settings):
    assert Environment({"EMAIL_URL": url}).email("EMAIL_URL") == settings


def test_an_unset_mail_url_has_its_default():
    backend = Environment({}).email("EMAIL_URL", "console:")["EMAIL_BACKEND"]
    assert backend == "django.core.mail.backends.console.EmailBackend"


@pytest.mark.parametrize(
    "url", ["", "smtp://", "imap://mail.example.com", "mail.example.com", "smtp:ada:secret@"]
)
def test_a_bad_mail_url_is_refused_without_being_shown(url):
    with pytest.raises(ImproperlyConfigured, match="EMAIL_URL must be smtp://") as refused:
        Environment({"EMAIL_URL": url}).email("EMAIL_URL")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["smtp://ada:secret@mail.example.com:port", "smtp://[ada:secret@mail"])
def test_a_mail_url_that_can_not_be_split_is_refused_without_being_shown(url):
    with pytest.raises(ImproperlyConfigured, match="EMAIL_URL must be smtp://") as refused:
        Environment({"EMAIL_URL": url}).email("EMAIL_URL")
    assert "secret" not in str(refused.value)

import pytest
from django.core.exceptions import ImproperlyConfigured

from renderhub.environment import Environment
from renderhub.ids import uuid7


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


def test_keys_are_ordered_by_time_and_of_version_7():
    first = uuid7()
    assert (first.version, first.variant) == (7, "specified in RFC 4122")
    assert min(uuid7().int >> 80 for _ in range(3)) >= first.int >> 80

import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from exports.costs import UnmeasuredRender
from exports.management.commands.cost_report import _polls
from tests.exports.test_costs import completed

NUMBERS = re.compile(r"([\d.,]+)\s+([\d.,]+)$")

pytestmark = pytest.mark.django_db


def run(*arguments):
    out = StringIO()
    call_command("cost_report", *arguments, stdout=out)
    return out.getvalue()


def lines(*arguments):
    """Return what each line of each table says of one export and of the month, by title and name."""
    found, title = {}, ""
    for line in run(*arguments).splitlines():
        if not line.startswith("  "):
            title = line
        elif match := NUMBERS.search(line):
            found[title, line.split()[0]] = match.groups()
    return found


ASLEEP = "A worker that sleeps through each render"


def test_the_report_of_a_thousand_exports_reproduces_the_reference_calculation():
    found = lines("--exports", "1000", "--render-seconds", "120")
    assert {name: pair for (title, name), pair in found.items() if title == ASLEEP} == {
        "worker": ("0.0020000", "2.0000"),
        "Remotion": ("0.0060000", "6.0000"),
        "queue": ("0.0000012", "0.0012"),
        "storage": ("0.0011500", "1.1500"),
        "transfer": ("0.0000000", "0.0000"),
        "total": ("0.0091512", "9.1512"),
    }


def test_beside_it_stands_what_renderhubs_own_worker_costs():
    found = lines()
    # 12 x 0.25 s x 0.5 GB = 1.5 GB-seconds on arm64, and 12 invocations.
    assert found["renderhub", "worker"] == ("0.0000224", "0.0224")
    assert found["renderhub", "queue"] == ("0.0000144", "0.0144")
    assert found["renderhub", "Remotion"] == ("0.0048042", "4.8042")
    assert found["renderhub", "total"] == ("0.0059964", "5.9964")
    assert "120.00 GB-seconds asleep, 1.50 in steps" in run()


def test_what_neither_table_counts_is_told_at_the_most():
    found = lines()
    title = "In neither, at the most"
    assert found[title, "progress"] == ("0.0012000", "1.2000")
    assert found[title, "answers"] == ("0.0001224", "0.1224")
    # As much a month for one export as for a thousand.
    assert found[title, "listening"][1] == lines("--exports", "1")[title, "listening"][1] == "0.2592"


def test_transfer_is_free_up_to_its_allowance():
    assert lines("--exports", "2000")[ASLEEP, "transfer"] == ("0.0000000", "0.0000")
    assert lines("--exports", "3000")[ASLEEP, "transfer"] == ("0.0015000", "4.5000")


def test_a_region_has_its_own_prices():
    assert lines("--region", "eu-central-1")[ASLEEP, "storage"] == ("0.0012250", "1.2250")
    assert "eu-central-1" in run("--region", "eu-central-1").splitlines()[0]


def test_a_region_whose_prices_are_not_known_is_refused_with_those_that_are():
    with pytest.raises(CommandError, match="us-east-1, eu-west-1, eu-central-1"):
        run("--region", "mars-north-1")


def test_a_deployment_in_a_region_whose_prices_are_not_known_gets_those_of_us_east_1(settings):
    settings.AWS_REGION = "mars-north-1"
    assert "us-east-1" in run().splitlines()[0]


@pytest.mark.parametrize("number", ["0", "-1", "many", "1.5"])
def test_a_number_that_is_none_is_refused(number):
    with pytest.raises(CommandError, match="--exports"):
        run("--exports", number)


def test_the_polls_are_those_of_the_sweeper():
    assert 1 + _polls(UnmeasuredRender().wall_s) == UnmeasuredRender().messages
    # Every five seconds at first, later after a tenth of the render's age, a minute at the most.
    assert [_polls(wall_s) for wall_s in (5, 6, 50, 600, 900)] == [0, 1, 9, 36, 41]


def test_what_was_measured_here_stands_below(project):
    assert "Nothing was measured here" in run()
    for usd, messages, mb_ms in (("0.01", 10, 1_024_000), ("0.03", 14, 3_072_000)):
        completed(project, usd, worker_messages=messages, worker_mb_ms=mb_ms, output_size_bytes=2_000_000)
    completed(project, "0")
    text = run()
    assert "the last 2 completed exports" in text
    assert "$0.0200000 for Remotion" in text
    assert "12.0 messages with 2.00 GB-seconds of worker" in text
    assert "a file of 2.0 MB" in text

"""The TypeScript client that the API's description makes: it compiles, and what it says of the API is so."""

import json
import subprocess

import pytest

from exports.models import ExportRequest
from localcloud.paths import ROOT
from tests.exports.test_journey import claim, started
from tests.exports.test_journey import success as ended

FOLDER = ROOT / "clients/typescript"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program():
    """The compiled program; the compiler is strict, and must find each of ``mistakes.ts``."""
    build = subprocess.run(["npm", "run", "build"], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert build.returncode == 0, build.stdout + build.stderr
    return FOLDER / "dist/export.js"


def follow(program, live_server, project):
    arguments = ["node", program, live_server.url, "ada", "pass-word-1", str(project.pk)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_program_asks_for_an_export_and_follows_it_to_its_file(
    program, live_server, project, sent, outputs, report
):
    with follow(program, live_server, project) as running:
        first = json.loads(running.stdout.readline())
        export = ExportRequest.objects.get(pk=first["exportId"])
        assert (first["status"], export.metadata) == ("pending", {"from": "client"})
        report(claim(export))
        report(started(export))
        report(ended(export))
        seen = [json.loads(line) for line in running.stdout]
        complaints = running.stderr.read()
    assert (running.returncode, complaints) == (0, "")
    assert (seen[-1]["status"], seen[-1]["progress"]) == ("completed", 1)
    assert seen[-1]["url"].startswith("https://")


def test_a_refusal_is_told_in_the_apis_own_words(program, live_server, project, sent):
    project.delete()
    project.pk = "01936f5d-1a2b-7c3d-8e4f-5a6b7c8d9e0f"
    with follow(program, live_server, project) as running:
        _, complaints = running.communicate()
    assert running.returncode == 1
    assert complaints == "Not Found: There is no such thing, or it is not yours.\n"

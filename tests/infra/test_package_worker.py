import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from infra import package_worker

pytestmark = pytest.mark.slow

IMPORT_AND_CREATE_CLIENTS = """
import boto3
import aws_lambda_powertools, remotion_lambda
import lambda_worker.contract
for service in ("lambda", "s3", "sqs"):
    boto3.client(service, region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b")
print(boto3.__file__)
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(package_worker.package()) as archive:
        archive.extractall(folder)
    return folder


def test_the_zip_is_pure_python_and_small(unpacked: Path):
    files = [path for path in unpacked.rglob("*") if path.is_file()]

    assert {path.suffix for path in files} & {".so", ".pyd", ".dylib"} == set()
    # Unpacked on each cold start.
    assert package_worker.ZIP.stat().st_size < 8_000_000


def test_the_zip_needs_nothing_beside_itself(unpacked: Path):
    command = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(unpacked)!r})"]
    command[-1] += IMPORT_AND_CREATE_CLIENTS

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(unpacked)


def test_the_same_sources_give_the_same_bytes():
    before = package_worker.package().read_bytes()
    package_worker.ZIP.unlink()

    assert package_worker.package().read_bytes() == before


def test_an_unchanged_worker_is_not_packaged_again():
    made_at = package_worker.package().stat().st_mtime_ns

    assert package_worker.package().stat().st_mtime_ns == made_at

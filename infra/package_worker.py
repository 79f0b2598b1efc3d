"""Package the worker and its pinned dependencies as build/lambda_worker.zip.

    python infra/package_worker.py

Everything in the zip is pure Python, so that one zip serves Lambda on arm64 and the machine it was built on.
The same sources give the same bytes: entries are sorted and carry one fixed time. Bytecode is for the Python
that runs this script, and any other ignores it; for a deployment run the one that the template names, since
Lambda can't keep what it compiles, and compiling takes longer than all the rest of a cold start.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
ZIP: Final = ROOT / "build" / "lambda_worker.zip"

_SOURCES: Final = ROOT / "lambda_worker"
_REQUIREMENTS: Final = _SOURCES / "requirements.txt"
_PACKAGES: Final = ROOT / "build" / "lambda_packages"

_AWS_SERVICES: Final = ("lambda", "s3", "sqs")
"""The services that the worker calls; the descriptions of all others are nine tenths of botocore."""

_TIMESTAMP: Final = (1980, 1, 1, 0, 0, 0)


def package() -> Path:
    """Return the zip, made anew if the worker, its requirements or this script has changed.

    Raises:
        RuntimeError: pip failed, or a dependency brings a compiled extension.
    """
    digest = _digest([*sorted(_SOURCES.glob("*.py")), _REQUIREMENTS, Path(__file__)])
    if _comment(ZIP) != digest:
        packages = _install()
        partial = ZIP.with_suffix(".partial")
        _write(partial, digest, packages)
        partial.replace(ZIP)
    return ZIP


def _digest(paths: list[Path]) -> bytes:
    digest = hashlib.sha256(sys.version.encode())
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest().encode()


def _comment(archive: Path) -> bytes:
    if not archive.exists():
        return b""
    with zipfile.ZipFile(archive) as opened:
        return opened.comment


def _install() -> Path:
    """Return a folder with the dependencies, installed anew if their list or this script has changed."""
    stamp = _PACKAGES / ".digest"
    digest = _digest([_REQUIREMENTS, Path(__file__)])
    if stamp.exists() and stamp.read_bytes() == digest:
        return _PACKAGES
    shutil.rmtree(_PACKAGES, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command = [*pip, "--only-binary=:all:", "--target", str(_PACKAGES), "-r", str(_REQUIREMENTS)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"pip could not install {_REQUIREMENTS.relative_to(ROOT)}:\n{done.stderr.strip()}")
    _prune(_PACKAGES)
    compiled = [str(path.relative_to(_PACKAGES)) for path in _PACKAGES.rglob("*.so")]
    if compiled:
        raise RuntimeError(f"a dependency of the worker isn't pure Python: {', '.join(compiled)}")
    stamp.write_bytes(digest)
    return _PACKAGES


def _prune(packages: Path) -> None:
    # Amazon Inspector reads the versions from the metadata; only these of its files tell of this machine.
    for name in ("RECORD", "INSTALLER", "REQUESTED"):
        for path in packages.glob(f"*.dist-info/{name}"):
            path.unlink()
    # remotion-lambda ships its tests as a top-level package.
    for folder in ("bin", "tests", "boto3/examples"):
        shutil.rmtree(packages / folder, ignore_errors=True)
    for path in (packages / "botocore" / "data").iterdir():
        if path.is_dir() and path.name not in _AWS_SERVICES:
            shutil.rmtree(path)


def _write(archive: Path, digest: bytes, packages: Path) -> None:
    tree = archive.with_suffix(".tree")
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(packages, tree, ignore=shutil.ignore_patterns(".digest"))
    (tree / _SOURCES.name).mkdir()
    for path in _SOURCES.glob("*.py"):
        shutil.copy(path, tree / _SOURCES.name)
    # Unchecked: the files' times are lost in the zip. A fixed hash seed keeps the order of sets the same.
    compile_all = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    subprocess.run([*compile_all, "-s", str(tree), "-p", "/var/task", str(tree)], env=environment, check=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.comment = digest
        for path in sorted(tree.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(tree).as_posix(), _TIMESTAMP)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                opened.writestr(entry, path.read_bytes())
    shutil.rmtree(tree)


if __name__ == "__main__":
    print(f"{package().relative_to(ROOT)} ({ZIP.stat().st_size / 1e6:.1f} MB)")

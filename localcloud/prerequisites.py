"""What must be on the machine before anything can be installed, one clear line for each thing that isn't.

Runs on the system's own Python, which may be too old for the rest of the code.
"""

import importlib.util
import re
import shutil
import subprocess
import sys

from localcloud import apt

_PYTHON = (3, 11)
_NODE = 20


def find_missing() -> "list[str]":
    """Return a line for each thing that is missing and couldn't be installed."""
    return [line for line in (_check_python(), _check_venv(), _check_node(), _check_npm()) if line]


def _check_python() -> str:
    if sys.version_info >= _PYTHON:
        return ""
    found = ".".join(map(str, sys.version_info[:2]))
    return f"Python 3.11 or later is needed, this is {found}: install one and run make PYTHON=python3.12 …"


def _check_venv() -> str:
    # Debian and Ubuntu ship Python without the half of venv that makes a pip.
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        return ""
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    if apt.can_install() and apt.install(package):
        return ""
    return f"Python's venv is needed: apt-get install {package}"


def _check_node() -> str:
    node = shutil.which("node")
    if node is None:
        return f"Node.js {_NODE} or later is needed: https://nodejs.org or your system's packages"
    version = subprocess.run([node, "--version"], stdout=subprocess.PIPE, check=False).stdout.decode().strip()
    found = re.match(r"v(\d+)\.", version)
    if found and int(found.group(1)) >= _NODE:
        return ""
    return f"Node.js {_NODE} or later is needed, {node} is {version}"


def _check_npm() -> str:
    return "" if shutil.which("npm") else "npm is needed: it comes with Node.js, or as the package npm"


if __name__ == "__main__":
    missing = find_missing()
    sys.stderr.writelines(f"{line}\n" for line in missing)
    sys.exit(1 if missing else 0)

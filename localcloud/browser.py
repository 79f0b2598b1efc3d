"""The browser that draws the videos: Chromium's headless shell."""

import os
import subprocess
from pathlib import Path
from typing import Final

from localcloud import apt
from localcloud.errors import LocalCloudError
from localcloud.paths import RENDERER

VARIABLES: Final = ("REMOTION_BROWSER", "BROWSER_EXECUTABLE")

# The programs themselves, not the scripts in /usr/bin that start them: a script's end orphans the browser.
_KNOWN: Final = (
    Path("/usr/lib/chromium/chromium-headless-shell"),
    Path("/usr/lib64/chromium-browser/headless_shell"),
)

_PACKAGE: Final = "chromium-headless-shell"

_DOWNLOAD: Final = """
import {ensureBrowser} from '@remotion/renderer';
const {path} = await ensureBrowser({chromeMode: 'headless-shell', logLevel: 'error'});
process.stdout.write(`\\n${path}`);
"""

_DOWNLOAD_TIMEOUT_S: Final = 600


def find_browser() -> Path:
    """Return the browser's program: the one that the environment names, or an installed one, or install one.

    Raises:
        LocalCloudError: there is none, and none can be installed here; the text says what to do.
    """
    for variable in VARIABLES:
        if named := os.environ.get(variable):
            if os.access(named, os.X_OK) and Path(named).is_file():
                return Path(named)
            raise LocalCloudError(f"{variable} is {named}, which is no program")
    found = _find_installed()
    if found is None and apt.can_install() and apt.install(_PACKAGE):
        found = _find_installed()
    if found is None:
        found = _download()
    if found is None:
        raise LocalCloudError(
            "no browser was found to render with, and none could be downloaded. On Debian: "
            f"apt-get install {_PACKAGE}. Elsewhere: set {VARIABLES[0]} to the path of a "
            "chrome-headless-shell (https://googlechromelabs.github.io/chrome-for-testing/)"
        )
    return found


def _find_installed() -> Path | None:
    return next((path for path in _KNOWN if os.access(path, os.X_OK)), None)


def _download() -> Path | None:
    """Let Remotion find the browser that it has downloaded before, or download it."""
    print("Looking for Remotion's own browser, downloading it if need be …", flush=True)
    command = ["node", "--input-type=module", "--eval", _DOWNLOAD]
    try:
        done = subprocess.run(
            command, cwd=RENDERER, capture_output=True, text=True, timeout=_DOWNLOAD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    path = Path(done.stdout.rpartition("\n")[2])
    return path if done.returncode == 0 and path.is_file() else None

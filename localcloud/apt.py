"""Installing what is missing, where this is Debian or Ubuntu and we are root."""

import os
import shutil
import subprocess
import sys


def can_install() -> bool:
    """Return whether packages can be installed without asking anyone."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def install(package: str) -> bool:
    """Install ``package`` and return whether that worked; the lists of packages are read anew if need be."""
    sys.stdout.write(f"Installing {package} …\n")
    sys.stdout.flush()
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    install_it = ["apt-get", "install", "--yes", "--no-install-recommends", "-qq", package]
    for command in (install_it, ["apt-get", "update", "-qq"], install_it):
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        if done.returncode == 0 and command is install_it:
            return True
    return False

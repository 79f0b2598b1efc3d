"""One running system for each checkout."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from localcloud.errors import LocalCloudError


@contextlib.contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Hold the checkout for this process. The system frees it when the process ends: no lock is ever stale.

    Raises:
        LocalCloudError: another process of this checkout holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise LocalCloudError(
                f"this checkout is already running, as process {file.read().strip()}; stop that one first"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield

"""The whole system at one address: the one-machine AWS, the database and the web process."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcloud import ports
from localcloud.cloud import LocalCloud
from localcloud.errors import LocalCloudError
from localcloud.paths import STATE
from localcloud.processes import stop
from localcloud.run_lock import run_lock
from localcloud.web import Demo, create_web_process, prepare_database

_WEB_READY_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The running system."""

    address: str
    demo: Demo
    cloud: LocalCloud

    def wait_for_failure(self) -> None:
        """Wait until a process of the system ends, which none should.

        Raises:
            LocalCloudError: one has; the text says which, and where its log is.
        """
        process = self.cloud.exits.get()
        raise LocalCloudError(process.describe_failure("has stopped"))

    def check(self) -> None:
        """Return if every process of the system still runs.

        Raises:
            LocalCloudError: one has ended; the text says which, and where its log is.
        """
        if not self.cloud.exits.empty():
            self.wait_for_failure()


@contextmanager
def running_system(state: Path = STATE, *, database: Mapping[str, str] | None = None) -> Iterator[System]:
    """Run the whole system of this checkout.

    Args:
        state: the folder for its records, its files and its logs.
        database: the variables that name another database for its records.

    Raises:
        LocalCloudError: it can't run, or runs already.
    """
    with run_lock(state / "run.lock"), ExitStack() as running:
        with ports.held_choice(), ThreadPoolExecutor(1) as background:
            port = ports.choose_port(ports.WEB)
            cloud = LocalCloud(web_port=port, state=state, database=database)
            preparing = background.submit(prepare_database, cloud.settings, log=cloud.logs / "database.log")
            running.enter_context(cloud)
            demo = preparing.result()
            web = create_web_process(
                cloud.environment, port=port, log=cloud.logs / "web.log", on_exit=cloud.exits.put
            )
            running.callback(stop, [web])
            web.start()
            web.wait_until_ready(_WEB_READY_S)
            # Its line says that the worker has started, which is a moment before it listens.
            if not ports.wait_until_listening(port, timeout_s=_WEB_READY_S):
                raise LocalCloudError(web.describe_failure(f"does not listen at port {port}"))
        yield System(address=cloud.web_address, demo=demo, cloud=cloud)

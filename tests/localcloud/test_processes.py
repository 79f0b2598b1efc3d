import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud import ports
from localcloud.errors import LocalCloudError
from localcloud.processes import Process, kill_marked, stop
from localcloud.run_lock import run_lock

TIMEOUT_S = 20

# Connects to the test, which is told of its end by the end of the connection, and then waits for ever.
LIVE = """
import signal, socket, subprocess, sys
line = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print("here I am", flush=True)
line.recv(1)
"""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT_S)
        yield server


def accept(listener: socket.socket) -> socket.socket:
    line, _ = listener.accept()
    line.settimeout(TIMEOUT_S)
    return line


def has_ended(line: socket.socket) -> bool:
    with line:
        try:
            return line.recv(1) == b""
        except ConnectionResetError:
            return True


def port_of(listener: socket.socket) -> str:
    return str(listener.getsockname()[1])


def python(code: str, *arguments: str, log: Path, **environment: str) -> Process:
    return Process(
        "the child",
        [sys.executable, "-c", code, *arguments],
        environment={"PATH": os.environ["PATH"], **environment},
        log=log,
        ready="here I am",
    )


def test_a_process_is_ready_when_it_says_so(listener: socket.socket, tmp_path: Path):
    process = python(LIVE, port_of(listener), log=tmp_path / "log")

    process.start()
    process.wait_until_ready(TIMEOUT_S)

    line = accept(listener)
    stop([process])
    assert has_ended(line)
    assert process.log.read_text() == "here I am\n"


def test_a_process_that_ends_too_early_is_told_with_its_last_words_and_its_log(tmp_path: Path):
    process = python("print('no port'); raise SystemExit(3)", log=tmp_path / "log")

    process.start()

    with pytest.raises(LocalCloudError) as raised:
        process.wait_until_ready(TIMEOUT_S)
    assert str(raised.value) == (
        f"the child has ended unexpectedly (exit code 3): no port\n  its log: {tmp_path / 'log'}"
    )


def test_a_process_that_is_not_ready_in_time_is_told(listener: socket.socket, tmp_path: Path):
    process = python(LIVE.replace("here I am", "hello"), port_of(listener), log=tmp_path / "log")
    process.start()
    line = accept(listener)

    with pytest.raises(LocalCloudError, match=r"the child was not ready within 0 s"):
        process.wait_until_ready(0)

    stop([process])
    assert has_ended(line)


def test_an_end_is_told_to_whoever_asked(tmp_path: Path):
    ended = threading.Event()
    process = Process(
        "the child",
        [sys.executable, "-c", "pass"],
        environment={},
        log=tmp_path / "log",
        ready="never",
        on_exit=lambda process: ended.set(),
    )

    process.start()

    assert ended.wait(TIMEOUT_S)
    assert process.describe_failure("runs").startswith("the child has ended unexpectedly (exit code 0)")


def test_a_process_that_ignores_its_end_is_killed(listener: socket.socket, tmp_path: Path):
    stubborn = LIVE.replace("print(", "signal.signal(signal.SIGTERM, signal.SIG_IGN); print(")
    process = python(stubborn, port_of(listener), log=tmp_path / "log")
    process.start()
    process.wait_until_ready(TIMEOUT_S)
    line = accept(listener)

    process.terminate()
    process.join(0)

    assert has_ended(line)


def test_the_children_of_a_process_end_with_it(listener: socket.socket, tmp_path: Path):
    parent = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', *sys.argv[1:]]).wait()"
    process = python(parent, LIVE, port_of(listener), log=tmp_path / "log")
    process.start()
    process.wait_until_ready(TIMEOUT_S)
    line = accept(listener)

    stop([process])

    assert has_ended(line)


@pytest.mark.skipif(sys.platform != "linux", reason="the environment of a process is read from /proc")
def test_a_child_that_left_the_session_is_found_by_its_mark(listener: socket.socket, tmp_path: Path):
    parent = (
        "import subprocess, sys; "
        "subprocess.Popen([sys.executable, '-c', *sys.argv[1:]], start_new_session=True).wait()"
    )
    process = python(parent, LIVE, port_of(listener), log=tmp_path / "log", A_MARK="of-this-test")
    process.start()
    process.wait_until_ready(TIMEOUT_S)
    line = accept(listener)
    stop([process])

    kill_marked("A_MARK", "of-this-test")

    assert has_ended(line)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_killed_parent_takes_its_processes_along(listener: socket.socket, tmp_path: Path):
    code = """
import signal, sys
from pathlib import Path
from localcloud.processes import Process
log, live, port = sys.argv[1:]
Process("the child", [sys.executable, "-c", live, port], environment={}, log=Path(log), ready="here").start()
signal.pause()
"""
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "log"), LIVE, port_of(listener)])
    line = accept(listener)

    parent.send_signal(signal.SIGKILL)
    parent.wait(TIMEOUT_S)

    assert has_ended(line)


def test_a_checkout_runs_once(tmp_path: Path):
    lock = tmp_path / "run.lock"

    with (
        run_lock(lock),
        pytest.raises(LocalCloudError, match=rf"already running, as process {os.getpid()};"),
        run_lock(lock),
    ):
        pass


def test_the_lock_of_a_killed_run_is_free(tmp_path: Path):
    code = """
import signal, sys
from pathlib import Path
from localcloud.run_lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("locked", flush=True)
    signal.pause()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "run.lock")], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        holder.kill()

    with run_lock(tmp_path / "run.lock"):
        assert (tmp_path / "run.lock").read_text() == str(os.getpid())


def test_a_taken_port_gives_way_to_a_free_one(listener: socket.socket):
    taken = int(port_of(listener))

    chosen = ports.choose_port(taken)

    assert chosen not in (0, taken)

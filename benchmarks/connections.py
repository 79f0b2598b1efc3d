"""What it costs to keep PostgreSQL's connections between requests: ``python -m benchmarks.connections``.

It needs ``wrk`` and PostgreSQL. Each round starts the API with one worker of eight threads, as in production,
with the pool and without it, and reads the history of a user who has 20 exports, over eight connections. It
prints the requests per second, and the processor time of the API and of PostgreSQL for each.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Final

from benchmarks.servers import Figures, Server, as_table, load, run_server
from benchmarks.usage import OtherProcesses, cpu_seconds
from localcloud.errors import LocalCloudError
from localcloud.ports import bypass_proxies
from tests.databases.servers import ServerError, postgresql

EXPORTS: Final = 20
CONNECTIONS: Final = 8
SETTINGS: Final = {"a pool": "renderhub.settings", "a connection for each request": "benchmarks.unpooled"}
API: Final = Server(
    name="granian WSGI",
    arguments="granian --interface wsgi --workers 1 --blocking-threads 8 --host {host} --port {port} "
    "renderhub.wsgi:application",
)


def main() -> int:
    """Measure, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.connections", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--seconds", type=float, default=6, help="how long each load lasts (6)")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is missing: apt-get install wrk")
    bypass_proxies()
    results: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in SETTINGS}
    try:
        with postgresql() as database, tempfile.TemporaryDirectory() as folder:
            os.environ.update(database.environment, DJANGO_SETTINGS_MODULE="renderhub.settings", DEBUG="1")
            # As it is for a client that asks now and then.
            os.environ["LIMIT_READS"] = "100000000/m"
            token, server = _prepare()
            for number in range(options.rounds):
                for name in sorted(SETTINGS, reverse=number % 2 == 1):
                    print(f"round {number + 1}: {name}", file=sys.stderr, flush=True)
                    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": SETTINGS[name]}
                    with run_server(API, environment=environment, folder=Path(folder)) as (pid, address):
                        figures = _measure(pid, server, address, token, options.seconds)
                    for figure, value in figures.items():
                        results[name][figure].append(value)
    except (LocalCloudError, ServerError) as error:
        print(f"renderhub: {error}", file=sys.stderr)
        return 1
    print(as_table(results))
    return 0


def _prepare() -> tuple[str, int]:
    """Return a user's token, and the process of PostgreSQL's server."""
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection
    from django.utils import timezone
    from rest_framework_simplejwt.tokens import AccessToken

    from exports.models import ExportRequest, Project

    call_command("migrate", verbosity=0)
    user = User.objects.create_user("bench")
    project = Project.objects.create(user=user, title="T", composition_id="M")
    now = timezone.now()
    ended = {"status": "completed", "created_at": now, "queued_at": now, "updated_at": now}
    what = {"title": "T", "composition_id": "M", "serve_url": "https://example.com/index.html"}
    for _ in range(EXPORTS):
        ExportRequest.objects.create(
            user=user, project=project, codec="h264", input_props={}, **what, **ended
        )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
    # The process's name, which may hold spaces, is in brackets.
    parent = Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()[1]
    return str(AccessToken.for_user(user)), int(parent)


def _measure(api: int, server: int, address: str, token: str, seconds: float) -> Figures:
    command = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--timeout", "30s"]
    command += ["--header", f"Authorization: Bearer {token}", "--header", "Accept: application/json"]
    path = f"{address}/api/exports/history"
    load([*command, "--duration", "2s", path])
    others, began = OtherProcesses(), time.monotonic()
    before = {pid: cpu_seconds(pid) for pid in (api, server)}
    requests, took_s = load([*command, "--duration", f"{seconds:.0f}s", path])
    # PostgreSQL counts a connection's process as soon as it has ended, and the pool's while it lives.
    used = {pid: (cpu_seconds(pid) - before[pid]) / requests * 1000 for pid in before}
    busy = others.busy_processors() - (used[server] * requests / 1000) / (time.monotonic() - began)
    return {
        "requests/s": requests / took_s,
        "CPU-ms of the API, a request": used[api],
        "CPU-ms of PostgreSQL, a request": used[server],
        "processors busy with something else": max(busy, 0),
    }


if __name__ == "__main__":
    sys.exit(main())

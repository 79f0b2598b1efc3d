"""The one-machine AWS: MiniStack with our stack in it, and the renderer beside it."""

import queue
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from infra.package_worker import package
from localcloud import ports
from localcloud.browser import find_browser
from localcloud.checkout_secrets import CheckoutSecrets
from localcloud.ministack import MiniStack, last_port
from localcloud.paths import SITE, STATE
from localcloud.processes import Process, kill_marked, stop
from localcloud.renderer import Renderer
from localcloud.site import upload_site
from localcloud.stack import Stack, deploy
from localcloud.users import create_renderer_user, create_web_user

MARK: Final = "RENDERHUB_LOCALCLOUD"
"""The environment variable that tells the processes of one running system from all others."""


class LocalCloud:
    """All that the web process needs of AWS and Remotion, running while the ``with`` block does.

    Attributes:
        exits: gets each process of the system that has ended; while it runs, none should.
        logs: the folder for the logs of this run.
    """

    def __init__(
        self,
        *,
        web_port: int,
        state: Path = STATE,
        database: Mapping[str, str] | None = None,
        renderer_settings: Mapping[str, str] | None = None,
    ) -> None:
        """Describe the system.

        Args:
            web_port: where the web process will listen.
            state: the folder for what outlives a run, and for the logs of this one.
            database: the variables that name the database; a file in ``state`` without.
            renderer_settings: further variables for the renderer.
        """
        self.exits: queue.SimpleQueue[Process] = queue.SimpleQueue()
        self.mark = secrets.token_hex(8)
        self._web_port = web_port
        self._state = state
        self.logs = state / "logs"
        self._database = dict(database or {})
        self._renderer_settings = dict(renderer_settings or {})
        self._secrets = CheckoutSecrets.load(state / "secrets.json")
        self._running = ExitStack()
        self._environment: Mapping[str, str] = {}

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that the web process needs beside those of the shell."""
        return {**self.settings, **self._environment}

    @property
    def settings(self) -> Mapping[str, str]:
        """Those of them that are known before anything runs."""
        return {
            MARK: self.mark,
            "API_BASE_URL": self.web_address,
            "SECRET_KEY": self._secrets.secret_key,
            "WEBHOOK_SECRETS": self._secrets.webhook_secret,
            "DATABASE_URL": f"sqlite:///{self._state / 'db.sqlite3'}",
            **self._database,
        }

    @property
    def web_address(self) -> str:
        """Where people and the worker reach the web process."""
        return f"http://localhost:{self._web_port}"

    @property
    def stack(self) -> Stack:
        """What has been deployed."""
        return self._stack

    @property
    def account(self) -> MiniStack:
        """The account that it has been deployed to."""
        return self._account

    def __enter__(self) -> Self:
        with ExitStack() as running:
            # Whatever else happens: a killed process can leave children that left its group.
            running.callback(kill_marked, MARK, self.mark)
            self._start(running)
            self._running = running.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def _start(self, running: ExitStack) -> None:
        browser = find_browser()
        worker = package()
        renderer_port = ports.choose_port(ports.RENDERER)
        processes: list[Process] = []
        running.callback(stop, processes)

        account_state = self._state / "aws"
        self._account = MiniStack(
            # Where it was before, if that is free: exports that still run name its addresses.
            port=ports.choose_port(last_port(account_state) or ports.MINISTACK),
            state=account_state,
            log=self.logs / "ministack.log",
            # The worker's calls of Remotion's function go to the renderer, those of all else to MiniStack.
            environment={
                MARK: self.mark,
                "AWS_ENDPOINT_URL_LAMBDA": f"http://{ports.HOST}:{renderer_port}",
            },
            on_exit=self.exits.put,
        )
        processes.append(self._account.process)
        self._account.start()
        self._account.wait_until_ready()

        origins = (self.web_address, f"http://{ports.HOST}:{self._web_port}")
        self._stack = deploy(
            self._account,
            worker=worker,
            webhook_secrets=self._secrets.webhook_secret,
            web_origins=origins,
        )
        renderer = Renderer(
            port=renderer_port,
            browser=browser,
            environment={
                MARK: self.mark,
                "AWS_ENDPOINT_URL_S3": self._account.endpoint,
                **create_renderer_user(self._account, self._stack),
                **self._renderer_settings,
            },
            log=self.logs / "renderer.log",
            on_exit=self.exits.put,
        )
        processes.append(renderer.process)
        renderer.start()
        serve_url = upload_site(self._account, bucket=self._stack.bucket, site=SITE)
        self._environment = {
            "AWS_ENDPOINT_URL": self._account.endpoint,
            **create_web_user(self._account, self._stack),
            "REMOTION_SQS_QUEUE_URL": self._stack.queue_url,
            "REMOTION_SQS_DLQ_URL": self._stack.dead_letter_queue_url,
            "REMOTION_BUCKET": self._stack.bucket,
            "REMOTION_SERVE_URL": serve_url,
            # Looking costs nothing here, and a bar that moves is good to see.
            "RENDER_POLL_S": "1",
        }
        renderer.wait_until_ready()

"""renderhub's HTTP API as a user of it calls it."""

import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from localcloud.errors import LocalCloudError

_TIMEOUT_S: Final = 30

# The socket may lose a message, so that one reads again after this long without any.
_READ_AGAIN_S: Final = 5


class ApiClient:
    """The API at one address, with the token of one user once signed in."""

    def __init__(self, address: str) -> None:
        """Talk to the API at ``address``."""
        self._address = address
        self._token = ""

    def sign_in(self, username: str, password: str) -> None:
        """Get a token for the calls that follow."""
        answer = self.call("POST", "/api/auth/token", {"username": username, "password": password})
        self._token = answer["access"]

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Return the decoded answer.

        Raises:
            LocalCloudError: the API refused, or couldn't be reached.
        """
        request = urllib.request.Request(  # noqa: S310
            self._address + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
                return json.load(response)
        except urllib.error.HTTPError as error:
            said = error.read(1000).decode(errors="replace")
            raise LocalCloudError(f"{method} {path} was answered by {error.code}: {said}") from error
        except OSError as error:
            raise LocalCloudError(f"{method} {path} had no answer: {error}") from error

    def follow(self, export_id: str) -> Generator[dict[str, Any]]:
        """Yield the status of an export each time that it changes, as the socket tells it.

        A socket that is silent yields the status as it is read, so that the caller can look at the clock.

        Raises:
            LocalCloudError: the socket or the API refused, or couldn't be reached.
        """
        address = self._address.replace("http", "ws", 1) + "/ws/exports"
        protocols = [Subprotocol("renderhub.v1"), Subprotocol(f"bearer.{self._token}")]
        try:
            with connect(address, subprotocols=protocols, open_timeout=_TIMEOUT_S, proxy=None) as socket:
                while True:
                    # After the socket is open, and again where it is silent: nothing is missed between.
                    yield self.call("GET", f"/api/exports/{export_id}/status")
                    try:
                        while True:
                            message = json.loads(socket.recv(timeout=_READ_AGAIN_S))
                            if message["export"]["exportId"] == export_id:
                                yield message["export"]
                    except TimeoutError:
                        continue
        except (OSError, WebSocketException) as error:
            raise LocalCloudError(f"the socket {address} failed: {error}") from error


def download(url: str, target: Path) -> None:
    """Store what ``url`` serves as ``target``.

    Raises:
        LocalCloudError: it could not be read.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response, target.open("wb") as file:  # noqa: S310
            shutil.copyfileobj(response, file)
    except OSError as error:
        raise LocalCloudError(f"the download failed: {error}") from error

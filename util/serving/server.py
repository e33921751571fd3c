"""The server: a port, and an end at which nothing is lost."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from util.errors import UserError, warn
from util.serving.app import Service
from util.serving.limits import Limits
from util.serving.models import Choice, Models, Run
from util.serving.queue import Queue
from util.signals import finishing

CONNECTIONS = 1000  # that may be open at a time
EVERYWHERE = ("0.0.0.0", "::", "")
LOCAL = {"127.0.0.1", "localhost", "::1"}


def open_port(host: str, port: int) -> socket.socket:
    """A socket that listens; on another port where this one is taken, which is said.

    Raises:
        UserError: the machine has no such address, or no right to the port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if port and not isinstance(error, (PermissionError, socket.gaierror)) and _exists(host):
            warn(f"--port {port}: taken; another one is chosen")
            return open_port(host, 0)
        raise UserError(
            f"--host {host} --port {port}: {error.strerror}; accepted: an address of this machine, "
            "and a port above 1023"
        ) from None
    return listener


def _exists(host: str) -> bool:
    """Whether this machine has an address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family) as probe:
        probe.bind((host, 0))
        return True
    return False


class Server(uvicorn.Server):
    """Ends by our signals, and not before the last answer is sent."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn's own would end in other exit codes."""
        with finishing(self.stop, "answering what has come"):
            yield

    def stop(self) -> None:
        """Take no more requests, and end when all are answered."""
        self.should_exit = True


class Serving:
    """Runs at a port; `run` returns when `server.stop` has been called, by whatever thread.

    Args:
        runs: the first is used where none is asked for; each is loaded once.
        listener: see `open_port`.
        hosts: names besides its own that the server may be called by.

    Raises:
        UserError: a network cannot be loaded.
    """

    def __init__(
        self, runs: list[Run], limits: Limits, listener: socket.socket, hosts: list[str]
    ) -> None:
        self.listener, host = listener, listener.getsockname()[0]
        own = LOCAL if host in (*EVERYWHERE, *LOCAL) else {host}
        self.queue = Queue(Models(limits.models), limits)
        self.service = Service({run.name: run for run in runs}, self.queue, limits)
        config = uvicorn.Config(
            self.service.app({*own, *(name.lower() for name in hosts)}), http="h11", ws="none",
            loop="asyncio", lifespan="off", log_config=None, log_level="critical",
            access_log=False, server_header=False, limit_concurrency=CONNECTIONS,
        )  # fmt: skip
        self.server = Server(config)
        for run in reversed(runs):  # what is wrong is told now, not to whoever asks first
            self.queue.models.get(Choice.of({run.name: run}, {}))

    @property
    def address(self) -> str:
        """For a browser on this machine."""
        host, port = self.listener.getsockname()[:2]
        host = "127.0.0.1" if host in EVERYWHERE else host
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def run(self) -> None:
        """Answer requests.

        Raises:
            Stopped: a signal has come, and all is answered.
        """
        with self.queue:
            self.server.run(sockets=[self.listener])

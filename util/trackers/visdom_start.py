"""Finding visdom's server, or starting one on this computer."""

import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from util.errors import UserError, say

PROJECT = Path(__file__).resolve().parent.parent.parent
LOCAL = {"localhost", "127.0.0.1", "::1"}
START_S = 20.0


def ensure_server(server: str, port: int, log_folder: Path) -> tuple[str, bool]:
    """Start a server if none answers and it would be on this computer.

    Args:
        server: host name, or http://host.
        log_folder: where a started server writes visdom_server.log.

    Returns:
        http://host, and whether that is this computer.

    Raises:
        UserError: no server answers.
    """
    parts = urlsplit(server if "://" in server else f"http://{server}")
    host = parts.hostname or "localhost"
    is_local = host in LOCAL
    if not _answers(host, port):
        if not is_local:
            raise UserError(
                f"no server answers at {host}:{port}; start one there (visdom -port {port}), or "
                f"here: python -m util.visdom_server --port {port}"
            )
        _start(host, port, log_folder / "visdom_server.log")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].split(':')[0]}", is_local


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


def _start(host: str, port: int, log: Path) -> None:
    """A server that stays when the training ends."""
    command = [sys.executable, "-m", "util.trackers.visdom_server", "--port", str(port)]
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + START_S
    while not _answers(host, port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise UserError(f"its server did not start: see {log}")
        time.sleep(0.1)
    say(f"visdom: started its server; it stays after the training (kill {process.pid} ends it)")

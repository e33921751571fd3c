"""Scripts in processes of their own: for what only a process can show, signals and sudden ends."""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from tests.helpers import ROOT, environment

LIMIT_S = 300.0  # after which something hangs, on however busy a machine


def eventually(holds: Callable[[], object]) -> bool:
    """Wait until something holds. Returns: whether it does, after a very long time at most."""
    deadline = time.monotonic() + LIMIT_S
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(holds())


@functools.cache
def _fork_server() -> str:
    """One for all tests of a process. Returns: the socket on which it takes requests."""
    folder = Path(tempfile.mkdtemp(prefix="forks"))
    command = [sys.executable, "-m", "tests.fork_server", str(folder / "socket")]
    server = subprocess.Popen(
        command, cwd=ROOT, env=environment(), text=True, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert server.stdout.readline() == "ready\n"

    def end() -> None:
        server.terminate()  # its stdin may be open in loader processes of ours
        server.wait()
        (folder / "socket").unlink()
        folder.rmdir()

    atexit.register(end)
    return str(folder / "socket")


class Process:
    """A script at work, in a session of its own; `out` and `err` are what it has said so far.

    Args:
        script: a Python file.
        argv: its arguments.
        cwd: its folder.
        before: Python code that its process runs first.
        streams: where it writes to instead of `out` and `err`.
        more: environment variables besides those of this process.
    """

    def __init__(
        self,
        script: Path,
        *argv: object,
        cwd: Path,
        before: str = "",
        streams: tuple[int, int] | None = None,
        **more: str,
    ) -> None:
        self.files = [tempfile.TemporaryFile() for _ in "oe"]  # noqa: SIM115 -- as long as this is
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(_fork_server())
        request = {
            "argv": [str(script), *map(str, argv)],
            "cwd": str(cwd),
            "before": before,
            "environ": environment() | more,
        }
        with open(os.devnull) as nothing:
            streams = streams or (self.files[0].fileno(), self.files[1].fileno())
            text = json.dumps(request).encode()
            socket.send_fds(self.connection, [text], [nothing.fileno(), *streams])
        self._answer = b""
        self.returncode: int | None = None
        self.pid = 0
        assert eventually(self._has_begun)

    def _has_begun(self) -> bool:
        self.pid = self.pid or self._number() or 0
        return self.pid > 0

    def _number(self) -> int | None:
        """The next number that the server has told; None: not yet."""
        with contextlib.suppress(BlockingIOError):
            while not self._answer.endswith(b"\n"):
                self._answer += self.connection.recv(1, socket.MSG_DONTWAIT)
        if not self._answer.endswith(b"\n"):
            return None
        number, self._answer = int(self._answer), b""
        return number

    @property
    def out(self) -> str:
        return self._said(self.files[0].fileno())

    @property
    def err(self) -> str:
        return self._said(self.files[1].fileno())

    @staticmethod
    def _said(file: int) -> str:
        return os.pread(file, os.fstat(file).st_size, 0).decode()

    def poll(self) -> int | None:
        """The exit status, minus the signal's number if one has ended it; None: it is at work."""
        if self.returncode is None:
            self.returncode = self._number()
        return self.returncode

    def wait(self) -> int:
        """Its exit status; a process that hangs is killed."""
        if not eventually(lambda: self.poll() is not None):
            self.kill_all()
            raise AssertionError(f"hangs\n{self.out[-2000:]}\n{self.err[-2000:]}")
        return self.returncode

    def communicate(self) -> tuple[str, str]:
        """Wait for its end. Returns: what it has said."""
        self.wait()
        return self.out, self.err

    def wait_for(self, text: str) -> None:
        """Until it has said something, on either stream."""
        ended = eventually(lambda: text in self.out + self.err or self.poll() is not None)
        assert ended and text in self.out + self.err, self.err[-2000:]

    def send_signal(self, number: int) -> None:
        """To this process alone."""
        os.kill(self.pid, number)

    def group_lives(self) -> bool:
        """Whether it, or a worker of it, is there."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def kill_all(self) -> None:
        """End it, and its workers, as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        if self.poll() is None:
            eventually(lambda: self.poll() is not None)


def start(cwd: Path, *argv: object, before: str = "") -> Process:
    """train.py as a process of its own."""
    return Process(ROOT / "train.py", *argv, cwd=cwd, before=before)


def start_two(script: Path, *argv: object, before: str = "") -> list[Process]:
    """A script in two processes of one group, in the present folder, as torchrun starts them."""
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    group = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
             "MASTER_PORT": str(store.port), "TORCHELASTIC_USE_AGENT_STORE": "True",
             "TORCHELASTIC_RESTART_COUNT": "0"}  # fmt: skip
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    processes = [
        Process(script, *argv, cwd=Path.cwd(), before=before, **group, **rank) for rank in ranks
    ]
    for process in processes:
        process.store = store  # for as long as one of them may ask it
    return processes


def wait_for_both(processes: list[Process]) -> list[str]:
    """Wait for the ends of processes of one group. Returns: the standard error of each."""
    ended = eventually(lambda: all(process.poll() is not None for process in processes))
    for process in processes:
        process.kill_all()
    errors = [process.err for process in processes]
    assert ended, errors
    return errors


def two_processes(script: Path, *argv: object) -> str:
    """What a script says that two processes of one group run, in the present folder."""
    processes = start_two(script, *argv)
    # One that fails may leave the other waiting for it.
    eventually(lambda: all(p.poll() == 0 for p in processes) or any(p.poll() for p in processes))
    for process in processes:
        process.kill_all()
    assert [process.returncode for process in processes] == [0, 0], [p.err for p in processes]
    return "".join(process.out for process in processes)

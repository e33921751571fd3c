"""Signals that ask a command to stop: a training finishes its step and saves, all else ends at
once; told in one line either way."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from util.lazy import Lazy

# Read when they are used: this file is there before anything that takes long to import.
errors, distributed = Lazy("util.errors"), Lazy("util.distributed")

EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 143}
# torchrun passes on a signal that the terminal has already sent to every process.
SAME_SIGNAL_S = 2.0 if "TORCHELASTIC_RUN_ID" in os.environ else 0.0
# At work while torch compiles a network, and at no other time.
COMPILERS = ("torch._dynamo.convert_frame", "torch._inductor.compile_fx")


class Interrupted(KeyboardInterrupt):
    """A signal has ended the work where it was. Like Ctrl-C's own, it is not an Exception: nobody
    takes it for a failure of what was going on."""


def guard_start() -> None:
    """From here on a signal ends the process in one line; for scripts, before their imports."""
    for number in _unclaimed():
        signal.signal(number, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    _write(f"stopped by {signal.Signals(number).name}\n")
    os._exit(EXIT_CODES[signal.Signals(number).name])


def leave_to_parent() -> None:
    """For worker processes of a pool: at Ctrl-C, which reaches all, they finish what they are at,
    and of other signals they make no words."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)


def _unclaimed() -> list[int]:
    """The signals that nobody else has a handler for, or ignores."""
    ours = (signal.SIG_DFL, signal.default_int_handler, _leave)
    there = [getattr(signal, name) for name in EXIT_CODES if hasattr(signal, name)]
    return [number for number in there if signal.getsignal(number) in ours]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """While it is entered, the first signal raises Interrupted where the work is, and the second
    ends the process.

    Raises:
        Stopped: a signal has come. Whatever a library made of it, of itself or of its processes,
            is a consequence.
    """
    noted: list[str] = []

    def interrupt(name: str) -> None:
        raise Interrupted

    with _handling(dict.fromkeys(_unclaimed(), _noting(noted, interrupt))):
        try:
            yield
        except (errors.UserError, errors.Stopped, SystemExit):
            raise
        except BaseException as error:
            if not noted and not isinstance(error, KeyboardInterrupt):
                raise
            name = noted[0] if noted else "SIGINT"
            raise errors.Stopped(f"stopped by {name}", EXIT_CODES[name]) from error


def _noting(noted: list[str], then: Callable[[str], None]) -> Callable:
    """A handler that puts down the name of the first signal, does what follows from it, and ends
    the process at the second."""

    def handle(number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if noted:
            end_at_once(EXIT_CODES[name])
        noted.append(name)
        if name == "SIGHUP":
            _leave_terminal()
        then(name)

    return handle


@contextlib.contextmanager
def _handling(handlers: dict[int, Callable]) -> Iterator[None]:
    """With these handlers of signals; only the main thread can have any."""
    before: dict[int, object] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                before[number] = signal.signal(number, handler)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def finishing(stop: Callable[[], None], what: str) -> Iterator[None]:
    """While it is entered, the first signal calls `stop`, which is to let the work come to its end,
    and the second ends the process.

    Args:
        what: is done before the end, e.g. "finishing the last image".

    Raises:
        Stopped: on leaving, if a signal has come.
    """
    noted: list[str] = []

    def finish(name: str) -> None:
        stop()
        _write(f"\n{name}: {what}; once more to stop at once\n")

    there = [getattr(signal, name) for name in EXIT_CODES if hasattr(signal, name)]
    heard = [n for n in there if signal.getsignal(n) is not signal.SIG_IGN]
    with _handling(dict.fromkeys(heard, _noting(noted, finish))):
        yield
    if noted:
        raise errors.Stopped(f"stopped by {noted[0]}", EXIT_CODES[noted[0]])


class SignalHandler:
    """While it is entered, SIGINT, SIGTERM and SIGHUP set `exit_code`, and SIGUSR1 `save`: the
    training finishes its step, and saves. Where there is nothing to save yet, before the training
    and while its first step compiles networks, they end it there and then.

    A second signal ends the process at once; what is on disk is whole at any time.

    Args:
        requeue: take SIGUSR1 (a scheduler's warning) as a wish to stop too.
    """

    def __init__(self, requeue: bool = False) -> None:
        self.requeue = requeue
        self.exit_code = 0  # 0: nobody wants the run to stop
        self.save = False
        self.started = False  # the training: from here on there are files of it
        self.stepped = False  # a step is done
        self.name = ""  # of the signal
        self._first_at = 0.0
        self._not_ours: set[Child] = set()
        self._handlers = contextlib.ExitStack()

    def __enter__(self) -> SignalHandler:
        self._not_ours = set(children())
        numbers = [getattr(signal, name) for name in (*EXIT_CODES, "SIGUSR1")
                   if hasattr(signal, name)]  # fmt: skip
        # nohup's wish, or a shell's for a job in the background, stands.
        heard = [n for n in numbers if signal.getsignal(n) is not signal.SIG_IGN]
        self._handlers.enter_context(_handling(dict.fromkeys(heard, self._note)))
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        """What a library makes of a signal, e.g. of a compiler that the same Ctrl-C has ended, is a
        consequence of it; nobody is left behind who works for a step that is given up."""
        self._handlers.close()
        told = (errors.UserError, errors.Stopped, SystemExit)
        if not self.exit_code or error is None or isinstance(error, told):
            return
        self._end_children()
        where = "in the midst of a step; what was saved before is whole"
        if not self.started:
            where = "before the first step; nothing was written"
        elif not self.stepped:
            where = "before the first step was done"
        raise errors.Stopped(f"stopped by {self.name} {where}", self.exit_code) from error

    def stop_before_start(self) -> None:
        """Raise Stopped if a signal has come while nothing was written yet, in any process."""
        if code := distributed.highest(self.exit_code)[0]:
            raise errors.Stopped("stopped before the first step; nothing was written", code)
        self.started = True

    def _note(self, number: int, frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if name == "SIGUSR1" and not self.requeue:
            self.save = True
            return
        code = EXIT_CODES.get(name, 143)
        if self.exit_code and time.monotonic() - self._first_at >= SAME_SIGNAL_S:
            _write("\n" if os.isatty(2) else "")  # a progress bar may stand there
            self._end_children()
            end_at_once(code)
        if name == "SIGHUP":  # the terminal is gone: writing to it would fail
            _leave_terminal()
        if self.exit_code:
            return
        self.exit_code, self.name, self._first_at = code, name, time.monotonic()
        # Of several processes each waits for the others, and all stop in the same step.
        alone = distributed.world_size() == 1
        if alone and (not self.started or (not self.stepped and _compiling(frame))):
            raise Interrupted
        _write(f"\n{name}: finishing the step, then saving; once more to stop at once\n")

    def _end_children(self) -> None:
        """End the processes that have come since `__enter__`, e.g. compilers, and theirs."""
        for child in set(children()) - self._not_ours:
            child.end()


def _compiling(frame: FrameType | None) -> bool:
    """Whether a network is being compiled where a signal has come."""
    while frame is not None:
        if frame.f_globals.get("__name__") in COMPILERS:
            return True
        frame = frame.f_back
    return False


def end_at_once(code: int) -> None:
    """End this process and its workers without another line of Python."""
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(code)


def _write(text: str) -> None:
    """To stderr, without `print`, which is not allowed within a signal handler."""
    with contextlib.suppress(OSError):  # the reader may have got the signal too
        os.write(2, text.encode())


def _leave_terminal() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if stream.isatty():
            os.dup2(nowhere, stream.fileno())


class Child(NamedTuple):
    """A process below this one; numbers are given anew, so it is known by its start as well."""

    pid: int
    started: str

    def end(self) -> None:
        """Kill it, if it is still the same."""
        if (found := _stat(self.pid)) and found[1] == self.started:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, signal.SIGKILL)


def children() -> list[Child]:
    """All processes below this one, as far as the system tells (Linux)."""
    below: dict[int, list[int]] = {}
    starts: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if found := _stat(int(folder.name)):
            below.setdefault(found[0], []).append(int(folder.name))
            starts[int(folder.name)] = found[1]
    found_pids, at = [], [os.getpid()]
    while at:
        at = [pid for parent in at for pid in below.get(parent, [])]
        found_pids += at
    return [Child(pid, starts[pid]) for pid in found_pids]


def _stat(pid: int) -> tuple[int, str] | None:
    """(parent, start) of a process; None if it is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(words[1]), words[19]
    except (OSError, IndexError, ValueError):
        return None

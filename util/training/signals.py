"""Signals that ask a run to stop: noted at once, obeyed after the step."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time

from util import distributed
from util.errors import Stopped

EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 143}
# torchrun passes on a signal that the terminal has already sent to every process.
SAME_SIGNAL_S = 2.0 if "TORCHELASTIC_RUN_ID" in os.environ else 0.0


class SignalHandler:
    """While it is entered, SIGINT, SIGTERM and SIGHUP set `exit_code`, and SIGUSR1 `save`.

    A second signal ends the process at once; what is on disk is whole at any time.

    Args:
        requeue: take SIGUSR1 (a scheduler's warning) as a wish to stop too.
    """

    def __init__(self, requeue: bool = False) -> None:
        self.requeue = requeue
        self.exit_code = 0  # 0: nobody wants the run to stop
        self.save = False
        self._before: dict[int, object] = {}
        self._first_at = 0.0

    def __enter__(self) -> "SignalHandler":
        if threading.current_thread() is threading.main_thread():
            for name in (*EXIT_CODES, "SIGUSR1"):
                number = getattr(signal, name, None)  # Windows has fewer
                if number is None or signal.getsignal(number) is signal.SIG_IGN:
                    continue  # nohup's wish, or a shell's for a job in the background
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *failure: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def stop_before_start(self) -> None:
        """Raise Stopped if a signal has come while nothing was written yet, in any process."""
        if code := distributed.highest(self.exit_code)[0]:
            raise Stopped("stopped before the first step; nothing was written", code)

    def _note(self, number: int, frame: object) -> None:
        name = signal.Signals(number).name
        if name == "SIGUSR1" and not self.requeue:
            self.save = True
            return
        code = EXIT_CODES.get(name, 143)
        if self.exit_code and time.monotonic() - self._first_at >= SAME_SIGNAL_S:
            with contextlib.suppress(OSError):
                os.write(2, b"\n" if os.isatty(2) else b"")  # a progress bar may stand there
            end_at_once(code)
        if name == "SIGHUP":  # the terminal is gone: writing to it would fail
            _leave_terminal()
        if not self.exit_code:
            self._first_at = time.monotonic()
            text = f"\n{name}: finishing the step, then saving; once more to stop at once\n"
            with contextlib.suppress(OSError):  # the reader may have got the signal too
                os.write(2, text.encode())  # print() is not allowed within a signal handler
        self.exit_code = code


def end_at_once(code: int) -> None:
    """End this process and its workers without another line of Python."""
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(code)


def _leave_terminal() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        if stream.isatty():
            os.dup2(nowhere, stream.fileno())

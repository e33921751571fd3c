"""Live views work beside a training, and are never in its way."""

import functools
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from util.errors import UserError, warn
from util.record import PageRow, Record, RunInfo
from util.seed import random_state, set_random_state
from util.trackers import registry
from util.trackers.base_tracker import Tracker

START_S, CLOSE_S = 4.0, 5.0  # that a training waits for all views to begin, and for one to end
RETRY_S = 60.0  # between two tries of a view that failed
WAITING = 32  # records and rows of pictures at most that a view may be behind


def start_trackers(asked: dict[str, dict[str, Any]], run: RunInfo) -> list[Tracker]:
    """Views that work beside the training, whatever becomes of their services.

    Args:
        asked: name of a tracker -> arguments of its class besides the run, as from
            `util.trackers.asked_trackers`.
    """
    state = random_state()  # packages may draw when they are imported
    views = [
        BackgroundTracker(
            name, functools.partial(_make, name, run, settings), registry.find(name).install
        )
        for name, settings in asked.items()
    ]
    deadline = time.monotonic() + START_S
    for view in views:
        view.started.wait(max(0.0, deadline - time.monotonic()))
    set_random_state(state)
    return views


def _make(name: str, run: RunInfo, settings: dict[str, Any]) -> Tracker:
    return registry.find(name)(run, **settings)


class BackgroundTracker(Tracker):
    """A tracker at the other end of a queue: a training neither waits for it nor sees it fail.

    What it cannot take is dropped: the oldest when it is behind, all for a minute when it failed.

    Args:
        name: of the service.
        start: makes the tracker; may take long, or raise.
        install: what to type if a package is missing.
    """

    def __init__(self, name: str, start: Callable[[], Tracker], install: str = "") -> None:
        self.name, self.start, self.install = name, start, install
        self.tracker: Tracker | None = None
        self.jobs: queue.Queue[tuple] = queue.Queue(WAITING)
        self.started = threading.Event()  # the first try to start is over
        self.closing = False
        self.retry_at = 0.0  # s, monotonic; nothing is tried before
        self.warned: set[str] = set()
        self.thread = threading.Thread(target=self._work, name=f"{name} view", daemon=True)
        self.thread.start()

    def log(self, record: Record) -> None:
        """Hand a line of the log over."""
        self._put("log", record)

    def show(self, row: PageRow, pictures: dict[str, np.ndarray]) -> None:
        """Hand a row of pictures over."""
        self._put("show", row, pictures)

    def close(self) -> None:
        """Wait a little until all is delivered."""
        self.closing = True
        self._put("close")
        self.thread.join(CLOSE_S)
        if self.thread.is_alive():
            self._warn_once("not all has arrived there")

    def _put(self, *job: object) -> None:
        while True:
            try:
                return self.jobs.put_nowait(job)
            except queue.Full:
                self._warn_once("it does not keep up; the oldest records and pictures are left out")
            try:
                self.jobs.get_nowait()
            except queue.Empty:
                continue

    def _work(self) -> None:
        self._attempt("start")
        self.started.set()
        method = ""
        while method != "close":
            method, *values = self.jobs.get()
            self._attempt(method, *values)

    def _attempt(self, method: str, *values: object) -> None:
        if time.monotonic() < self.retry_at and method != "close":
            return
        try:
            if self.tracker is None and not self.closing:
                self.tracker = self.start()
            if self.tracker is not None and method != "start":
                getattr(self.tracker, method)(*values)
        except ImportError as error:
            self.retry_at = float("inf")
            remedy = f"; to install it: {self.install}" if self.install else ""
            self._warn_once(f"{error}{remedy}")
        except Exception as error:  # of a foreign package: anything
            self.retry_at = time.monotonic() + RETRY_S
            told = str(error).split("\n")[0]
            kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
            self._warn_once(kind + told)

    def _warn_once(self, what: str) -> None:
        """Warn, once of failures and once of delays."""
        kind = "late" if "left out" in what else "failed"
        if kind not in self.warned:
            self.warned.add(kind)
            warn(f"--track {self.name}: {what} (training, logs and page go on without it)")

"""Live views of a training: chosen by name, and never in its way."""

import functools
import importlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from util.errors import UserError, warn
from util.page import PageRow
from util.seed import random_state, set_random_state
from util.trackers.base import RunInfo, Tracker

# Name -> class in util/trackers/<name>_tracker.py, imported with its package when asked for.
TRACKERS = {
    "visdom": "VisdomTracker",
    "tensorboard": "TensorboardTracker",
    "wandb": "WandbTracker",
}
INSTALL = {
    "visdom": "PIP_CONSTRAINT=$PWD/build-constraints.txt "
    "PIP_BUILD_CONSTRAINT=$PWD/build-constraints.txt "
    "pip install --use-pep517 -r requirements-visdom.txt",
    "tensorboard": "pip install -r requirements-trackers.txt",
    "wandb": "pip install -r requirements-trackers.txt",
}
START_S, CLOSE_S = 4.0, 5.0  # that a training waits for all views to begin, and for one to end
RETRY_S = 60.0  # between two tries of a view that failed
WAITING = 32  # records and rows of pictures at most that a view may be behind


def start_trackers(services: dict[str, dict[str, Any]], run: RunInfo) -> list[Tracker]:
    """Views that work beside the training, whatever becomes of their services.

    Args:
        services: name, one of TRACKERS -> arguments of its class besides the run.
    """
    state = random_state()  # packages may draw when they are imported
    views = [
        Guarded(name, functools.partial(_make, name, run, settings))
        for name, settings in services.items()
    ]
    deadline = time.monotonic() + START_S
    for view in views:
        view.begun.wait(max(0.0, deadline - time.monotonic()))
    set_random_state(state)
    return views


def _make(name: str, run: RunInfo, settings: dict[str, Any]) -> Tracker:
    module = importlib.import_module(f"util.trackers.{name}_tracker")
    return getattr(module, TRACKERS[name])(run, **settings)


class Guarded:
    """A tracker at the other end of a queue: a training neither waits for it nor sees it fail.

    What it cannot take is dropped: the oldest when it is behind, all for a minute when it failed.

    Args:
        name: of the service.
        start: makes the tracker; may take long, or raise.
    """

    def __init__(self, name: str, start: Callable[[], Tracker]) -> None:
        self.name, self.start = name, start
        self.tracker: Tracker | None = None
        self.jobs: queue.Queue[tuple] = queue.Queue(WAITING)
        self.begun = threading.Event()  # the first try to start is over
        self.closing = False
        self.rests_until = 0.0  # s, monotonic
        self.said: set[str] = set()
        self.thread = threading.Thread(target=self._work, name=f"{name} view", daemon=True)
        self.thread.start()

    def log(self, record: dict[str, float]) -> None:
        self._put("log", record)

    def show(self, row: PageRow, pictures: dict[str, np.ndarray]) -> None:
        self._put("show", row, pictures)

    def close(self) -> None:
        """Wait a little until all is delivered."""
        self.closing = True
        self._put("close")
        self.thread.join(CLOSE_S)
        if self.thread.is_alive():
            self._say("not all has arrived there")

    def _put(self, *job: object) -> None:
        while True:
            try:
                return self.jobs.put_nowait(job)
            except queue.Full:
                self._say("it does not keep up; the oldest records and pictures are left out")
            try:
                self.jobs.get_nowait()
            except queue.Empty:
                continue

    def _work(self) -> None:
        self._attempt("start")
        self.begun.set()
        method = ""
        while method != "close":
            method, *values = self.jobs.get()
            self._attempt(method, *values)

    def _attempt(self, method: str, *values: object) -> None:
        if time.monotonic() < self.rests_until and method != "close":
            return
        try:
            if self.tracker is None and not self.closing:
                self.tracker = self.start()
            if self.tracker is not None and method != "start":
                getattr(self.tracker, method)(*values)
        except ImportError as error:
            self.rests_until = float("inf")
            self._say(f"{error}; to install it: {INSTALL[self.name]}")
        except Exception as error:  # of a foreign package: anything
            self.rests_until = time.monotonic() + RETRY_S
            told = str(error).split("\n")[0]
            self._say(told if isinstance(error, UserError) else f"{type(error).__name__}: {told}")

    def _say(self, what: str) -> None:
        """Warn, once of failures and once of delays."""
        kind = "late" if "left out" in what else "failed"
        if kind not in self.said:
            self.said.add(kind)
            warn(f"--track {self.name}: {what} (training, logs and page go on without it)")

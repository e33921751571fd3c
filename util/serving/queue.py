"""Images that wait for a network, and the one thread in which networks compute."""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

from util.errors import BadImage, UserError
from util.lazy import torch
from util.machine import is_out_of_memory
from util.serving.limits import Limits, Refused
from util.serving.models import Choice, Models, Network


class Made(NamedTuple):
    """Args:
    network: that has made it.
    image: (1, C, H, W) in [-1, 1].
    waited_s, network_s: seconds until its turn, and of it.
    """

    network: Network
    image: torch.Tensor
    waited_s: float
    network_s: float


@dataclass
class Job:
    """An image to translate.

    Args:
        choice: by which network.
        data: its file.
        size: (width, height) px.
        done: becomes what is `Made`, or an error; who cancels it before its turn is not served.
    """

    choice: Choice
    data: bytes
    size: tuple[int, int]
    name: str = "the image"
    done: Future = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)

    @property
    def key(self) -> tuple:
        """Equal for images that may go through a network together."""
        return self.choice.run.name, self.choice.epoch, self.choice.direction, self.size


class Queue:
    """While it is entered, what is put is translated, oldest first; on leaving the rest is done.

    Args:
        models: used by its thread alone, once it is entered.
    """

    def __init__(self, models: Models, limits: Limits) -> None:
        self.models, self.limits = models, limits
        self.job_s = 1.0  # of the last images, about
        self._waiting: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="networks", daemon=True)

    def __enter__(self) -> Queue:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def put(self, job: Job) -> None:
        """Have it done after those that wait, or with the first that is alike."""
        with self._changed:
            self._waiting.append(job)
            self._changed.notify()

    def _work(self) -> None:
        while jobs := self._next():
            self._translate(jobs)
            del jobs  # and with them the images, while it waits

    def _next(self) -> list[Job]:
        """The oldest that waits, with others that may go with it; empty: at the end."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return []
                job = self._waiting.popleft()
                if job.done.set_running_or_notify_cancel():
                    return [job, *self._alike(job)]

    def _alike(self, first: Job) -> list[Job]:
        width, height = first.size
        room = min(self.limits.batch, max(1, self.limits.pixels // (width * height))) - 1
        found, others = [], deque()
        while self._waiting:
            job = self._waiting.popleft()
            if len(found) == room or job.key != first.key:
                others.append(job)
            elif job.done.set_running_or_notify_cancel():
                found.append(job)
        self._waiting = others
        return found

    def _translate(self, jobs: list[Job]) -> None:
        """Answer jobs that are alike: at once if that changes nothing, else one after the other."""
        try:
            network = self.models.get(jobs[0].choice)
        except Exception as error:
            return _fail(jobs, error)
        if len(jobs) > 1 and self._answered_together(network, jobs):
            return
        for job in jobs:
            try:
                self._answer(network, [job])
            except Exception as error:
                _fail([job], error)

    def _answered_together(self, network: Network, jobs: list[Job]) -> bool:
        try:
            channels = network.decode(jobs[0].data, jobs[0].name).values.shape[-1]
            if self.models.together(network, channels):
                self._answer(network, jobs)
                return True
        except Exception:  # of one of them, or all are too much at once: each is told alone
            pass
        return False

    def _answer(self, network: Network, jobs: list[Job]) -> None:
        began = time.monotonic()
        pictures = [network.decode(job.data, job.name) for job in jobs]
        images = network.translate_together(pictures, [job.name for job in jobs])
        took = time.monotonic() - began
        self.job_s += 0.2 * (took / len(jobs) - self.job_s)
        for job, image in zip(jobs, images, strict=True):
            job.done.set_result(Made(network, image, began - job.since, took))


def _fail(jobs: list[Job], error: Exception) -> None:
    """Tell whoever waits what went wrong; our own mistakes are told in the terminal."""
    if is_out_of_memory(error):
        error = Refused(413, str(error) if isinstance(error, UserError) else "out of memory")
    elif not isinstance(error, UserError):
        traceback.print_exception(error)
        error = Refused(500, "an error of the server; its terminal tells more")
    elif not isinstance(error, Refused):
        error = Refused(400 if isinstance(error, BadImage) else 500, str(error))
    for job in jobs:
        job.done.set_exception(error)

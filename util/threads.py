"""Work beside the thread that gives it: one job after the other, or many at a time in order."""

import concurrent.futures
import os
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from util.machine import cores

T = TypeVar("T")
MOST = 16  # jobs that may be unfinished; whoever gives another one waits


class BackgroundThread:
    """Does jobs one after the other, beside the thread that gives them.

    A job owns what it is given: nobody may change that afterwards. Jobs draw no random numbers and
    print nothing. What they raise comes up in the thread that asks, at the latest in `close`.

    No process is forked while a job is at work, for it could hold a lock that the child would wait
    for forever; `fork` waits.
    """

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(1, "writer")  # begins its thread with the first job
        self.jobs: deque[Future] = deque()  # that nobody has asked for yet, oldest first
        self.error: BaseException | None = None  # the first one that nobody was told
        _all.add(self)

    def put(self, work: Callable, *given: object) -> Future:
        """Have `work(*given)` done after all that was given before."""
        self._collect(MOST - 1)
        self.jobs.append(self.pool.submit(work, *given))
        return self.jobs[-1]

    def check(self) -> None:
        """Raise what went wrong in a job that is done, once."""
        self._collect(MOST)
        error, self.error = self.error, None
        if error is not None:
            raise error

    def wait(self) -> None:
        """Return when all is done, however it went."""
        concurrent.futures.wait(self.jobs)

    def flush(self) -> None:
        """Wait, and raise what went wrong."""
        self.wait()
        self.check()

    def close(self) -> None:
        """Flush, and end the thread."""
        self.pool.shutdown()
        self.check()

    def _collect(self, most: int) -> None:
        """Wait until at most so many jobs are unfinished."""
        while self.jobs and (len(self.jobs) > most or self.jobs[0].done()):
            error = self.jobs.popleft().exception()
            self.error = self.error or error


_all: weakref.WeakSet[BackgroundThread] = weakref.WeakSet()


def _wait_for_all() -> None:
    for writer in _all:
        writer.wait()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_wait_for_all)


MOST_BYTES = 2**28  # of work that waits; more would not be done any sooner


def default_threads() -> int:
    """As many as there are cores for this process, up to 8."""
    return min(8, cores())


class OrderedThreads(Generic[T]):
    """While it is entered, `submit` returns at once, as long as not too much waits. On leaving,
    also for an error or Ctrl-C, what was submitted is done.

    Args:
        on_result: called with every result in the thread that submits, in that order.
        threads: that work; the work has to let others run, as numpy and encoders do.
        most_bytes: of work that is not done; one piece of it may exceed that.
    """

    def __init__(
        self, on_result: Callable[[T], None], threads: int = 0, most_bytes: int = MOST_BYTES
    ) -> None:
        self.on_result, self.most_bytes, self.bytes = on_result, most_bytes, 0
        self.pool = ThreadPoolExecutor(threads or default_threads(), "pool")
        self.waiting: deque[tuple[Future[T], int]] = deque()

    def submit(self, size: int, work: Callable[..., T], *args: object) -> None:
        """Let `work(*args)`, which holds `size` bytes, be done. Raises what earlier work raised."""
        while self.waiting and self.bytes + size > self.most_bytes:
            self._next_result()
        self.waiting.append((self.pool.submit(work, *args), size))
        self.bytes += size
        while self.waiting and self.waiting[0][0].done():
            self._next_result()

    def _next_result(self) -> None:
        future, size = self.waiting.popleft()
        self.bytes -= size
        try:
            result = future.result()
        finally:
            del future  # it holds the error, which holds this frame and the callers' until gc runs
        self.on_result(result)

    def __enter__(self) -> "OrderedThreads[T]":
        return self

    def __exit__(self, kind: type[BaseException] | None, *failure: object) -> None:
        """Finish what was submitted, also after an error; the first error is raised at the end."""
        first: Exception | None = None
        try:
            while self.waiting:
                try:
                    self._next_result()
                except Exception as error:
                    first = first or error
        finally:
            self.pool.shutdown(wait=False, cancel_futures=True)
        try:
            if first and kind is None:
                raise first
        finally:
            del first  # as above

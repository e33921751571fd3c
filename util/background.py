"""Work that a training need not wait for: done by one thread, in the order in which it is given."""

import concurrent.futures
import os
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

MOST = 16  # jobs that may be unfinished; whoever gives another one waits


class Writer:
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


_all: weakref.WeakSet[Writer] = weakref.WeakSet()


def _wait_for_all() -> None:
    for writer in _all:
        writer.wait()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_wait_for_all)

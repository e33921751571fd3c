"""Work in threads, taken back in the order in which it was given."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from util.machine import cores

T = TypeVar("T")
MOST_BYTES = 2**28  # of work that waits; more would not be done any sooner


def default_threads() -> int:
    """As many as there are cores for this process, up to 8."""
    return min(8, cores())


class Pool(Generic[T]):
    """While it is entered, `give` returns at once, as long as not too much waits. On leaving, also
    for an error or Ctrl-C, what was given is done.

    Args:
        take: called with every result in the thread that gives, in the order of giving.
        threads: that work; the work has to let others run, as numpy and encoders do.
        most_bytes: given and not taken back; one piece of work may exceed it.
    """

    def __init__(
        self, take: Callable[[T], None], threads: int = 0, most_bytes: int = MOST_BYTES
    ) -> None:
        self.take, self.most_bytes, self.bytes = take, most_bytes, 0
        self.pool = ThreadPoolExecutor(threads or default_threads(), "pool")
        self.waiting: deque[tuple[Future[T], int]] = deque()

    def give(self, size: int, work: Callable[..., T], *args: object) -> None:
        """Let `work(*args)`, which holds `size` bytes, be done. Raises what earlier work raised."""
        while self.waiting and self.bytes + size > self.most_bytes:
            self._take_next()
        self.waiting.append((self.pool.submit(work, *args), size))
        self.bytes += size
        while self.waiting and self.waiting[0][0].done():
            self._take_next()

    def _take_next(self) -> None:
        future, size = self.waiting.popleft()
        self.bytes -= size
        try:
            result = future.result()
        finally:
            del future  # it holds the error, which holds this frame and the callers' until gc runs
        self.take(result)

    def __enter__(self) -> "Pool[T]":
        return self

    def __exit__(self, kind: type[BaseException] | None, *failure: object) -> None:
        """The rest, past what cannot be done; of several errors the first one is raised."""
        first: Exception | None = None
        try:
            while self.waiting:
                try:
                    self._take_next()
                except Exception as error:
                    first = first or error
        finally:
            self.pool.shutdown(wait=False, cancel_futures=True)
        try:
            if first and kind is None:
                raise first
        finally:
            del first  # as above

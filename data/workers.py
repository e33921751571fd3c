"""The loader's processes: a killed one is told in one line, and none is waited for in vain.

torch has no public way to these, so this file reaches into its DataLoader: `_iterator`, `_workers`,
`_workers_done_event`, and the lock `_cond` of that event. tests/data/test_workers.py names the
versions of torch that were seen to have them.
"""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing.connection
import os
import signal
import threading
import warnings
import weakref
from collections.abc import Iterable, Iterator
from multiprocessing.process import BaseProcess

from util.errors import UserError, quiet_decoders
from util.lazy import torch


def batches_of(loader: torch.utils.data.DataLoader, workers: list[BaseProcess]) -> Iterator:
    """The batches of an epoch. Closed before its end, or by an error, it ends the workers.

    Args:
        workers: becomes a list of those that are started.

    Raises:
        UserError: a worker was killed, also between epochs.
    """
    try:
        yield from _iterator(loader, workers)
    except (RuntimeError, OSError, EOFError) as error:  # of torch; of a batch half handed over
        loader._iterator = None
        killed = _killed(workers)
        if not killed:
            raise
        for worker in workers:
            worker.kill()
        raise UserError(
            f"data worker killed (signal {killed[0]}), perhaps for want of memory; lower "
            f"--num_threads, now {len(workers)}"
        ) from error
    except BaseException:  # workers end now, and not when somebody collects the trace
        loader._iterator = None
        raise


def _iterator(loader: torch.utils.data.DataLoader, workers: list[BaseProcess]) -> Iterator:
    """torch's iterator; from the second epoch on its workers are there already."""
    before = set(multiprocessing.active_children())
    with _deaf_to_children(), no_word_of_cores():
        batches = iter(loader)
    if started := set(multiprocessing.active_children()) - before:
        workers[:] = started
        batches._workers_done_event = Done(batches._workers_done_event)
        atexit.register(_end_workers, started, os.getpid())
        # A cycle of references may be collected in an order in which torch reaches them no more.
        weakref.finalize(batches, _end_workers, started, os.getpid()).atexit = False
    return batches


def _killed(workers: list[BaseProcess]) -> list[int]:
    """The signals that ended workers; a broken connection is seen before the end itself."""
    sentinels = {worker.sentinel: worker for worker in workers}
    for ended in multiprocessing.connection.wait(sentinels, timeout=1) if sentinels else ():
        sentinels[ended].join()
    return [-worker.exitcode for worker in workers if (worker.exitcode or 0) < 0]


class Done(threading.Event):
    """Tells workers to end, as torch's event does, and never waits for one that was killed.

    A process that is killed while it looks at torch's event keeps the event's lock for ever.
    """

    def __init__(self, shared: multiprocessing.synchronize.Event) -> None:
        super().__init__()
        self.shared = shared

    def set(self) -> None:
        """Tell the workers, unless the lock is held by one that is no more."""
        super().set()
        if self.shared._cond.acquire(timeout=1):
            self.shared._cond.release()
            self.shared.set()


def _end_workers(workers: Iterable[BaseProcess], parent: int) -> None:
    """Of a script that ends while it still has its loader, or of a loader that nobody has any more:
    Python itself would wait for them, and they leave signals to the run."""
    for worker in workers if os.getpid() == parent else ():
        worker.kill()


@contextlib.contextmanager
def _deaf_to_children() -> Iterator[None]:
    """Undo torch's signal handler, which raises in the midst of a step when a worker dies: it is
    soon enough to hear of it when the next batch is asked for."""
    here = threading.current_thread() is threading.main_thread()
    number = getattr(signal, "SIGCHLD", None) if here else None  # Windows has none
    before = signal.getsignal(number) if number else None
    try:
        yield
    finally:
        if number:
            signal.signal(number, before)


@contextlib.contextmanager
def no_word_of_cores() -> Iterator[None]:
    """Without torch's warning: more workers than cores are the user's choice."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        yield


def begin_worker(worker_number: int) -> None:
    """For worker processes: whoever signals the whole group means the run, which ends them."""
    quiet_decoders()
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)

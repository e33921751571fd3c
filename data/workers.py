"""The loader's processes: a killed one is told in one line, none is waited for in vain, and batches
come through whatever the system has room for.

torch has no public way to these, so this file reaches into its DataLoader: `_iterator`, `_workers`,
`_workers_done_event`, the lock `_cond` of that event, `_worker_info`, and by `_worker_pids_set`
and `_remove_worker_pids` into its list of processes.
tests/data/test_workers.py names the versions of torch that were seen to have them.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import functools
import multiprocessing.connection
import multiprocessing.queues
import os
import signal
import threading
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np

from util.errors import UserError, quiet_decoders, warn
from util.lazy import torch
from util.tensors import with_kind, with_tensors

MORE_ROOM = "docker run --shm-size 1g, or ulimit -n 4096,"
# Words of torch for what the system has refused.
NO_ROOM = ("shared memory", "/torch_", "No space left", "Too many open files")
SENT_NOTHING = 73  # exit code of a worker whose batch cannot be sent
REFUSED = {errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def batches_of(loader: torch.utils.data.DataLoader, workers: list[BaseProcess]) -> Iterator:
    """The batches of an epoch. Closed before its end, or by an error, it ends the workers.

    Args:
        workers: becomes a list of those that are started.

    Raises:
        UserError: a worker was killed, also between epochs.
    """
    try:
        yield from unpacked(_iterator(loader, workers))
    except (RuntimeError, OSError, EOFError) as error:  # of torch; of a batch half handed over
        loader._iterator = None
        killed = _killed(workers)
        unsent = any(worker.exitcode == SENT_NOTHING for worker in workers)
        if not killed and (unsent or is_no_room(error)):
            raise UserError(
                f"--num_threads {loader.num_workers}: too few file handles, or too little shared "
                f"memory (/dev/shm), for so many processes; {MORE_ROOM} gives more, or lower it"
            ) from error
        if not killed:
            raise
        for worker in workers:
            worker.kill()
        wanting = "memory"
        if killed[0] == getattr(signal, "SIGBUS", None):
            wanting = "room in /dev/shm (docker run --shm-size 1g gives more)"
        raise UserError(
            f"data worker killed (signal {killed[0]}), perhaps for want of {wanting}; lower "
            f"--num_threads, now {len(workers)}"
        ) from error
    except BaseException:  # workers end now, and not when somebody collects the trace
        loader._iterator = None
        raise


def _iterator(loader: torch.utils.data.DataLoader, workers: list[BaseProcess]) -> Iterator:
    """torch's iterator; from the second epoch on its workers are there already."""
    before = set(multiprocessing.active_children())
    with _deaf_to_children(), no_word_of_cores():
        try:
            batches = iter(loader)
        except BaseException:  # in the midst of starting them
            for worker in set(multiprocessing.active_children()) - before:
                worker.kill()
            raise
    if started := set(multiprocessing.active_children()) - before:
        workers[:] = started
        batches._workers_done_event = Done(batches._workers_done_event)
        _leave_to_us(batches)
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


def _leave_to_us(batches: Iterator) -> None:
    """Take its processes from torch's list: should one be killed, torch's signal handler, which any
    other loader of this script may have set, would raise wherever the script is just then."""
    if batches._worker_pids_set:
        torch.utils.data._utils.signal_handling._remove_worker_pids(id(batches))
        batches._worker_pids_set = False


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
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_end_unsent)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def _end_unsent(error: Exception, batch: object) -> None:
    """In a worker: a batch that could not be sent would be waited for in vain. What it was for want
    of, the main process tells; Python would print a trace."""
    if not is_no_room(error):
        traceback.print_exception(error)
    os._exit(SENT_NOTHING)


@dataclass(frozen=True)
class Sent:
    """A tensor on its way through a pipe."""

    values: np.ndarray
    channels_last: bool


@dataclass(frozen=True)
class Packed:
    """A batch on its way through a pipe, its tensors in the form of `Sent`."""

    batch: Any


class Handover:
    """A collate function for worker processes as well: what it gives is in shared memory already,
    or packed. Left to torch, a batch that finds no room there gets lost: it is moved by a thread
    whose failures nobody hears, and the training waits for it for ever.

    Args:
        collate: from samples to their batch.
    """

    def __init__(self, collate: Callable[[list], Any]) -> None:
        self.collate = collate

    def __call__(self, samples: list) -> Any:
        """The batch; `unpacked` brings it into its form."""
        if torch.utils.data.get_worker_info() is None:
            return self.collate(samples)
        try:
            return with_tensors(
                self.collate([dict(s) for s in samples]), torch.Tensor.share_memory_
            )
        except (RuntimeError, OSError) as error:
            if not is_no_room(error):
                raise
        with _as_in_the_main_process():
            return Packed(with_tensors(self.collate(samples), _sent))


def is_no_room(error: BaseException) -> bool:
    """Whether shared memory, or the number of open files, has come to its limit."""
    refused = isinstance(error, OSError) and error.errno in REFUSED
    return refused or any(words in str(error) for words in NO_ROOM)


def unpacked(batches: Iterator) -> Iterator:
    """Batches as they were before they were handed over; the first that was packed is told."""
    for batch in batches:
        if isinstance(batch, Packed):
            _tell_of_pipes()
            batch = with_kind(batch.batch, Sent, _received)
        yield batch


@functools.cache
def _tell_of_pipes() -> None:
    warn(
        "too little shared memory (/dev/shm), or too few file handles: batches come through pipes, "
        f"which takes longer; {MORE_ROOM} gives more"
    )


def _sent(tensor: torch.Tensor) -> Sent:
    last = tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return Sent(tensor.detach().contiguous().numpy(), last)


def _received(sent: Sent) -> torch.Tensor:
    tensor = torch.from_numpy(sent.values)
    return tensor.contiguous(memory_format=torch.channels_last) if sent.channels_last else tensor


@contextlib.contextmanager
def _as_in_the_main_process() -> Iterator[None]:
    """torch's `default_collate` allocates in shared memory where it finds itself in a worker."""
    worker = torch.utils.data._utils.worker
    info, worker._worker_info = worker._worker_info, None
    try:
        yield
    finally:
        worker._worker_info = info

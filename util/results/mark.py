"""Who writes into a folder of results: a mark in it until they are whole; and locks."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from util import atomic
from util.errors import UserError
from util.lazy import Lazy

filelock = Lazy("filelock")

MARK = ".unfinished"  # a file's name


class Mark:
    """The mark of a test at work, which holds a lock on it: whatever ends the test, the system
    frees that, and the file stays.

    Args:
        folder: of results; it is there, and has no mark.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / MARK
        holder = {"pid": os.getpid(), "host": socket.gethostname()}
        atomic.write(self.file, json.dumps(holder).encode(), durable=False)
        self.lock = _locked(self.file)

    def remove(self) -> None:
        """The results are whole."""
        self.let_go()
        self.file.unlink(missing_ok=True)

    def let_go(self) -> None:
        """Nothing more is written, whole or not."""
        if self.lock is not None:
            self.lock.release()


def is_marked(folder: Path) -> bool:
    """Whether its results are not whole."""
    return os.path.lexists(folder / MARK)


def writer_of(folder: Path) -> str:
    """Who writes results into a folder now, e.g. "process 7 on host"; empty if nobody does."""
    file = folder / MARK
    if not is_marked(folder):
        return ""
    try:
        if lock := _locked(file):
            lock.release()
        return ""
    except filelock.Timeout:
        try:
            holder = json.loads(file.read_text())
            return f"process {holder['pid']} on {holder['host']}"
        except (OSError, ValueError, RecursionError, TypeError, KeyError):
            return "another process"


@contextlib.contextmanager
def held(file: Path) -> Iterator[None]:
    """Wait for a lock, and hold it; its file is there no longer than somebody wants it."""
    if file.is_symlink():
        raise UserError(f"{file}: a link, which is not followed; delete it")
    lock = _locked(file, wait_s=-1)
    try:
        yield
    finally:
        if lock is not None:
            with contextlib.suppress(OSError):  # Windows deletes no file that is open
                file.unlink()  # while it is held: whoever opened it meanwhile sees that it is gone
            lock.release()


def _locked(file: Path, wait_s: float = 0) -> filelock.FileLock | None:
    """A lock, held; None where the file system has none, or the file may not be written.

    Args:
        wait_s: how long to wait for others; -1: as long as they take.

    Raises:
        filelock.Timeout: another process holds it.
    """
    lock = filelock.FileLock(file, timeout=wait_s, fallback_to_soft=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise
    except (OSError, NotImplementedError):
        return None
    return lock

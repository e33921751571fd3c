"""A place for what is not finished."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from util.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextlib.contextmanager
def work_folder(target: Path) -> Iterator[Path]:
    """A hidden folder beside `target`, this process's alone; what stays in it is for the next try.

    Raises:
        UserError: another process has it.
    """
    work = target.with_name(f".{target.name}.part")
    work.mkdir(parents=True, exist_ok=True)
    handle = os.open(work, os.O_RDONLY) if fcntl else None
    try:
        if handle is not None:
            _claim(handle, target)
        try:
            yield work
        finally:
            with contextlib.suppress(OSError):
                work.rmdir()  # if nothing is in it
    finally:
        if handle is not None:
            os.close(handle)


def _claim(handle: int, target: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"{target}: another process is downloading it; wait for it") from None
    except OSError:
        pass  # some network file systems cannot
    if os.fstat(handle).st_nlink == 0:
        raise UserError(f"{target}: another process has just ended with it; try again")

"""The folder of a run: held by one process at a time; an earlier run of its name is kept."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from util import atomic
from util.errors import UserError, say, shown, warn
from util.lazy import Lazy

filelock = Lazy("filelock")

# Of network file systems without locks.
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}
# An earlier version locked nothing: it wrote its pid and start into the lock file, and touched it
# every 15 s. Such a holder is believed alive for so long after its last touch.
STALE_S = 90.0


@contextlib.contextmanager
def run_lock(run_dir: str | Path, wanted: bool = True) -> Iterator[None]:
    """Hold the run's name; the lock file stands beside the folder, which may be renamed meanwhile.

    The system frees the lock when its process ends, in whatever way. On a network file system the
    lock is seen by other machines if that system passes it on (NFS 4, Lustre with `-o flock`); one
    without any locks gets a warning, and the run goes on.

    Args:
        wanted: else nothing is done.

    Raises:
        UserError: another process holds it, or the folder cannot be written.
    """
    if not wanted:
        yield
        return
    folder = Path(run_dir)
    atomic.refuse_no_folder(folder, "--name")
    file = folder.parent / f".{folder.name}.lock"
    made = not folder.parent.exists()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = _acquire(file, folder.name)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}); choose another --checkpoints_dir"
        ) from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows deletes no file that is open
            file.unlink()  # while it is held: whoever opened it meanwhile sees that it is gone
        lock.release()
        if made:
            with contextlib.suppress(OSError):
                folder.parent.rmdir()  # made for the lock, and nothing was written


def _acquire(file: Path, name: str) -> filelock.FileLock:
    """The lock, held, with this process's pid and host in its file."""
    if file.is_symlink():
        raise UserError(f"{file}: a link, which is not followed; delete it")
    lock = filelock.FileLock(file, timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise _in_use(file, name, _read(file)) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        warn(f"{file}: no locks on this file system; a second run of the name goes unnoticed")
        return lock
    holder = _read(file)  # who left it, without releasing it
    if _touches_its_file(file, holder):
        lock.release()
        raise _in_use(file, name, holder)
    if holder:
        warn(f"{file}: its process {holder.get('pid', '?')} is gone; taking over")
    with contextlib.suppress(PermissionError):  # Windows: nobody writes into a locked file
        file.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
    return lock


def _in_use(file: Path, name: str, holder: dict) -> UserError:
    return UserError(
        f"--name {name}: in use by process {holder.get('pid', '?')} on {holder.get('host', '?')}; "
        f"wait for it, or choose another name (the lock is {file})"
    )


def _read(file: Path) -> dict:
    """Who holds the lock, or held it last; empty where that is not known."""
    try:
        holder = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        holder = {}  # just being written, or cut off
    return holder if isinstance(holder, dict) else {}


def _touches_its_file(file: Path, holder: dict) -> bool:
    """Whether a run of a version that locked nothing is at work; see STALE_S."""
    if "started" not in holder or (age_s := _now(file.parent) - file.stat().st_mtime) > STALE_S:
        return False
    with contextlib.suppress(OSError):  # no /proc: the time has to do
        here = socket.gethostname(), os.readlink("/proc/self/ns/pid")
        if here == (holder.get("host"), holder.get("space")):
            return _start_of(holder.get("pid")) == holder["started"]
    if age_s < -STALE_S:  # it would be believed for ever
        warn(f"{file}: its time lies {-age_s / 3600:.1f} h in the future, so nobody keeps it alive")
        return False
    return True


def _now(folder: Path) -> float:
    """The time, s, by the clock that stamps files there: of a server, it may be another one."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError:
        return time.time()


def _start_of(pid: object) -> str | None:
    """When a process of this machine began, in the system's ticks: one that was given its pid anew
    began later. None if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return None


def make_room(run_dir: str | Path, overwrite: bool, keep: bool = False) -> None:
    """See to it that a new run finds no files of an earlier one, and say so.

    A folder that is a link, to a larger disk, stays one, and the new run goes where it leads.

    Args:
        overwrite: delete them; else the folder is renamed to NAME.1, NAME.2, ...; of a link, the
            folder that it leads to is, and NAME.1 is a link to it.
        keep: the run goes on: leave everything as it is.

    Raises:
        UserError: the folder cannot be renamed or deleted.
    """
    folder = Path(run_dir)
    if keep or not folder.is_dir() or not any(folder.iterdir()):
        return
    try:
        if overwrite:
            _empty(folder)
            say(f"{shown(folder)}: the earlier run is deleted (--overwrite)")
            return
        kept = _move_away(folder)
    except OSError as error:
        raise UserError(
            f"{folder}: the earlier run cannot be moved away ({error.strerror or error}); choose "
            "another --name"
        ) from None
    say(f"{shown(folder)}: the earlier run is kept as {shown(kept)} (--overwrite deletes it)")


def _empty(folder: Path) -> None:
    """Delete a folder; where it is a link, what is in it."""
    if not folder.is_symlink():
        shutil.rmtree(folder)
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _move_away(folder: Path) -> Path:
    """Rename a folder to the first name that is free. Returns: that name."""
    target = Path(os.path.realpath(folder))  # of a link
    for number in itertools.count(1):
        kept, there = (path.with_name(f"{path.name}.{number}") for path in (folder, target))
        if not os.path.lexists(kept) and not os.path.lexists(there):
            break
    if not folder.is_symlink():
        os.rename(folder, kept)
        return kept
    kept.symlink_to(there)
    try:
        os.rename(target, there)
    except OSError as error:  # a disk of its own, or a folder of somebody else's
        kept.unlink()
        os.rename(folder, kept)
        warn(f"{target}: cannot be renamed ({error.strerror}); the new run is in {folder} itself, "
             "which is no link any more")  # fmt: skip
        return kept
    target.mkdir()
    return kept

"""One run at a time under one name."""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from util.errors import UserError, warn

BEAT_S = 15.0
STALE_S = 90.0  # without a beat, the holder on another machine is taken for dead


@contextlib.contextmanager
def run_lock(run_dir: str | Path, wanted: bool = True) -> Iterator[None]:
    """Hold the run's name; the lock file stands beside the folder, which may be renamed meanwhile.

    Args:
        wanted: else nothing is done.

    Raises:
        UserError: another process holds it, or the folder cannot be written.
    """
    if not wanted:
        yield
        return
    folder = Path(run_dir)
    file = folder.parent / f".{folder.name}.lock"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _take(file, folder.name)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}); choose another --checkpoints_dir"
        ) from None
    ended = threading.Event()
    threading.Thread(target=_beat, args=(file, ended), daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            file.unlink()
        with contextlib.suppress(OSError):
            folder.parent.rmdir()  # made for the lock, and nothing was written


def _take(file: Path, name: str) -> None:
    for _ in range(3):
        try:
            handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            holder = _read(file)
            if _lives(file, holder):
                raise UserError(
                    f"--name {name}: in use by process {holder.get('pid')} on "
                    f"{holder.get('host')}; wait for it, or choose another name "
                    f"(the lock is {file})"
                ) from None
            warn(f"{file}: its process {holder.get('pid')} is gone; taking over")
            with contextlib.suppress(FileNotFoundError):
                file.unlink()
            continue
        with os.fdopen(handle, "w") as lock:
            own = {"pid": os.getpid(), "host": socket.gethostname()}
            json.dump(own | {"started": _start_of(os.getpid())}, lock)
        return
    raise UserError(f"--name {name}: {file} is taken again and again; choose another name")


def _read(file: Path) -> dict:
    try:
        holder = json.loads(file.read_text())
    except (OSError, ValueError):
        holder = {}  # just being written, or cut off
    return holder if isinstance(holder, dict) else {}


def _lives(file: Path, holder: dict) -> bool:
    """Whether the holder is alive: by its pid on this machine, elsewhere by its beats."""
    here = holder.get("host") == socket.gethostname() and os.name == "posix"
    if here and isinstance(holder.get("pid"), int):
        try:
            os.kill(holder["pid"], 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # somebody else's, alive
        return holder.get("started") == _start_of(holder["pid"])
    try:
        return time.time() - file.stat().st_mtime < STALE_S
    except FileNotFoundError:
        return False


def _start_of(pid: int) -> str | None:
    """When a process began, in the system's ticks: a number that is given again differs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except (OSError, IndexError):
        return None  # no such system: the pid alone has to do


def _beat(file: Path, ended: threading.Event) -> None:
    while not ended.wait(BEAT_S):
        with contextlib.suppress(OSError):
            os.utime(file)

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

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

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
    made = not folder.parent.exists()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(folder.parent):
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
        with contextlib.suppress(OSError), _one_at_a_time(folder.parent):
            if _read(file) == _own():
                file.unlink()
        if made:
            with contextlib.suppress(OSError):
                folder.parent.rmdir()  # made for the lock, and nothing was written


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Nobody else looks at locks in the folder meanwhile, where the system can see to that."""
    handle = os.open(folder, os.O_RDONLY) if fcntl else None
    try:
        if handle is not None:
            with contextlib.suppress(OSError):  # some network file systems cannot
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _own() -> dict:
    """Who holds a lock: the process, by pid and start, and the machine and name space of pids."""
    pid = os.getpid()
    return {"pid": pid, "host": socket.gethostname(), "space": _space(), "started": _start_of(pid)}


def _take(file: Path, name: str) -> None:
    if file.exists():
        holder = _read(file)
        if _lives(file, holder):
            raise UserError(
                f"--name {name}: in use by process {holder.get('pid', '?')} on "
                f"{holder.get('host', '?')}; wait for it, or choose another name "
                f"(the lock is {file})"
            )
        warn(f"{file}: its process {holder.get('pid', '?')} is gone; taking over")
        file.unlink()
    handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    with os.fdopen(handle, "w") as lock:
        json.dump(_own(), lock)


def _read(file: Path) -> dict:
    try:
        holder = json.loads(file.read_text())
    except (OSError, ValueError):
        holder = {}  # just being written, or cut off
    return holder if isinstance(holder, dict) else {}


def _lives(file: Path, holder: dict) -> bool:
    """Whether the holder is alive: by its pid on this machine, elsewhere by its beats."""
    here = all(holder.get(key) == _own()[key] for key in ("host", "space")) and fcntl
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


def _space() -> str | None:
    """Which processes the pids here count: a container on the same machine has its own."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


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

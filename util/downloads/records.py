"""What was downloaded into a folder: where each file came from, and its SHA-256; and the place for
what is not finished."""

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from util.downloads.download import Fetched, write_json
from util.errors import CANNOT_WRITE, UserError

FILE = ".downloads.json"
LOCK = ".lock"  # in a folder of what is not finished, while a process has it


@contextlib.contextmanager
def work_folder(target: Path) -> Iterator[Path]:
    """A hidden folder beside `target`, this process's alone; what stays in it is for the next try.

    Raises:
        UserError: another process has it.
    """
    work = target.with_name(f".{target.name}.part")
    work.mkdir(parents=True, exist_ok=True)
    lock = FileLock(work / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"{target}: another process is downloading it; wait for it") from None
    except OSError as error:
        if error.errno in CANNOT_WRITE:
            raise
        # some network file systems cannot lock
    try:
        yield work
    finally:
        with contextlib.suppress(OSError):  # Windows deletes it when it is released
            (work / LOCK).unlink()
        lock.release()
        with contextlib.suppress(OSError):
            work.rmdir()  # if nothing is in it


def empty(work: Path) -> None:
    """Delete what is in a work folder, which stays this process's."""
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def read(folder: Path) -> dict[str, dict]:
    """Folder and file on the server -> url, sha256, bytes, date; UserError if damaged."""
    path = folder / FILE
    try:
        records = json.loads(path.read_text()) if path.exists() else {}
        whole = all(isinstance(r[key], str) for r in records.values() for key in ("sha256", "date"))
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
        whole = False
    if not whole:
        raise UserError(f"{path}: not a record of downloads; mend it, or delete it")
    return records


def check(folder: Path, key: str, fetched: Fetched, pinned: str | None) -> None:
    """Whether a file is the one that it was, or that it must be.

    Raises:
        UserError: it is another one.
    """
    record = read(folder).get(key, {})
    expected = pinned or record.get("sha256") or fetched.sha256
    if fetched.sha256 == expected:
        return
    why, remedy = "as it must be", "it is damaged, or not the file that you mean"
    if not pinned:
        why = f"as on {record['date']} ({folder / FILE})"
        remedy = f"if the new one is right: --sha256 {fetched.sha256}"
    raise UserError(
        f"{fetched.url}: refused: its SHA-256 is {fetched.sha256}, not {expected} {why}; {remedy}"
    )


def add(folder: Path, key: str, fetched: Fetched) -> None:
    """Note what a file was."""
    what = {"url": fetched.url, "sha256": fetched.sha256, "bytes": fetched.size}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / FILE, read(folder) | {key: what | {"date": time.strftime("%Y-%m-%d")}})

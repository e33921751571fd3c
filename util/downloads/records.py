"""What was downloaded into a folder: where each file came from, and its SHA-256."""

import json
import time
from pathlib import Path

from util.downloads.download import Fetched, write_json
from util.errors import UserError

FILE = ".downloads.json"


def read(folder: Path) -> dict[str, dict]:
    """Folder and file on the server -> url, sha256, bytes, date; UserError if damaged."""
    path = folder / FILE
    try:
        records = json.loads(path.read_text()) if path.exists() else {}
        whole = all(isinstance(r[key], str) for r in records.values() for key in ("sha256", "date"))
    except (ValueError, AttributeError, KeyError, TypeError):
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

"""A file from a server: streamed, gone on with after a break, never half under its name."""

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import requests
from tqdm import tqdm

from util import atomic
from util.downloads.web import PATIENCE, Again, Patience, check_status, get, persist, read, shown
from util.errors import UserError

CHUNK = 1 << 16  # bytes; what a break loses at most
MAX_BYTES = 64 << 30


class Fetched(NamedTuple):
    """What came, and from where."""

    url: str
    sha256: str
    size: int  # bytes


def fetch(
    urls: str | list[str],
    path: Path,
    patience: Patience = PATIENCE,
    max_bytes: int = MAX_BYTES,
) -> Fetched:
    """A file under `path`, or beside it as `.part`, where the next call goes on.

    Args:
        urls: the first that can be reached at all is taken.
        path: a file that is there is taken for whole. The caller sees to it that no other process
            fetches it at the same time.

    Raises:
        UserError: not to be had, not a file, or larger than `max_bytes`.
    """
    urls = [urls] if isinstance(urls, str) else urls
    if path.is_file():
        digest = digest_of(path).hexdigest()
        return Fetched(shown(urls[0]), digest, path.stat().st_size)
    part = _Part(path)

    def attempt(session: requests.Session, url: str) -> Fetched:
        return _fetch_once(session, url, part, patience, max_bytes)

    fetched = persist(attempt, urls, patience, part.size)
    os.replace(part.path, path)
    part.note.unlink()
    return fetched


def digest_of(path: Path) -> "hashlib._Hash":
    """The SHA-256 of a file, ready for more."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256")


def write_json(path: Path, value: dict) -> None:
    """A small file, old or new but never half."""
    atomic.write(path, (json.dumps(value, indent=1) + "\n").encode())


class _Part:
    """The beginning of a file, and a note of which file it is the beginning of."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.path = path.with_name(f"{path.name}.part")
        self.note = path.with_name(f"{path.name}.part.json")

    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    def known(self, url: str) -> dict:
        """The note, if it is of this address; else it is empty."""
        try:
            note = json.loads(self.note.read_text())
            return note if note["place"] == _place(url) else {}
        except (OSError, ValueError, RecursionError, KeyError, TypeError):
            return {}

    def begin(self, url: str, response: requests.Response, total: int | None) -> None:
        """An empty file, and the note of what the server says about the file."""
        self.clear()
        tag = response.headers.get("ETag", "")
        validator = "" if tag.startswith("W/") else tag
        validator = validator or response.headers.get("Last-Modified", "")
        note = {"place": _place(url), "validator": validator[:200], "total": total}
        write_json(self.note, note)
        self.path.touch()

    def clear(self) -> None:
        """Nothing is left."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def _place(url: str) -> str:
    return shown(url).partition("://")[2]  # the same file by http and https


def _fetch_once(
    session: requests.Session, url: str, part: _Part, patience: Patience, max_bytes: int
) -> Fetched:
    note, offset, headers = part.known(url), part.size(), {}
    if offset and note.get("total") == offset:
        return Fetched(shown(url), digest_of(part.path).hexdigest(), offset)
    if offset and note.get("validator"):
        headers = {"Range": f"bytes={offset}-", "If-Range": note["validator"]}
    with get(session, url, headers, patience) as response:
        if headers and response.status_code in (206, 416):
            total = _rest_of(response, note, offset, part)
        else:
            check_status(response)
            offset, total = 0, _length(response)
            _check_is_file(response, total)
            part.begin(url, response, total)
        _check_room(part, offset, total, max_bytes)
        return _stream(response, url, part, total, max_bytes)


def _length(response: requests.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None


def _rest_of(response: requests.Response, note: dict, offset: int, part: _Part) -> int:
    """The length of the whole file of which this answer is the rest, if it is that."""
    given = re.fullmatch(
        r"bytes (\d{1,18})-\d{1,18}/(\d{1,18})", response.headers.get("Content-Range", "")
    )
    names = (response.headers.get("ETag"), response.headers.get("Last-Modified"))
    same_file = note["validator"] in names or not any(names)
    same_length = given and note["total"] in (None, int(given[2]))
    if response.status_code == 206 and same_file and same_length and int(given[1]) == offset:
        return int(given[2])
    part.clear()
    raise Again("has another file now, or does not know what it sent before")


def _check_is_file(response: requests.Response, total: int | None) -> None:
    if response.status_code == 206:
        raise Again("sends a piece when asked for the whole")
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise UserError(_not_a_file(response.url, "a web page"))
    if total == 0:
        raise UserError(_not_a_file(response.url, "nothing"))


def _not_a_file(url: str, what: str) -> str:
    return (
        f"{shown(url)}: sends {what}, not a file; look at the address in a browser (a network may "
        "ask for a login first), or give a --mirror"
    )


def _check_room(part: _Part, offset: int, total: int | None, max_bytes: int) -> None:
    free = shutil.disk_usage(part.path.parent).free
    if total is None:
        return
    if total > max_bytes:
        part.clear()
        raise UserError(f"{part.name}: {_gb(total)}, more than the {_gb(max_bytes)} allowed")
    if total - offset > free:
        raise UserError(
            f"{part.name}: needs {_gb(total - offset)} in {part.path.parent}, where {_gb(free)} "
            "are free; make room, or give another --out"
        )


def _gb(size: int) -> str:
    return f"{size / 1e9:.3g} GB"


def _stream(
    response: requests.Response, url: str, part: _Part, total: int | None, max_bytes: int
) -> Fetched:
    """Append an answer to the part; the whole file's digest."""
    digest, size = digest_of(part.path), part.size()
    bar = tqdm(total=total, initial=size, unit="B", unit_scale=True, desc=part.name,
               disable=not sys.stderr.isatty())  # fmt: skip
    with atomic.open_here(part.path, "ab") as file, bar:
        while chunk := read(response, CHUNK):
            if not size and chunk.lstrip().startswith(b"<"):
                part.clear()
                raise UserError(_not_a_file(url, "a web page"))
            size += len(chunk)
            if size > max_bytes:
                part.clear()
                raise UserError(f"{part.name}: more than the {_gb(max_bytes)} allowed")
            file.write(chunk)
            digest.update(chunk)
            bar.update(len(chunk))
        os.fsync(file.fileno())
    if total is not None and size != total:
        raise Again(f"stopped after {size} of {total} bytes")
    if not size:
        part.clear()
        raise UserError(_not_a_file(url, "nothing"))
    return Fetched(shown(url), digest.hexdigest(), size)

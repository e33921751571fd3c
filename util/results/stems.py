"""What results are called: after the file that they come from, sub-folders included."""

import hashlib
import itertools
import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

MAX_STEM_BYTES = 200  # of the 255 that a file's name may have


def printable_stem(path: str, name: str | None = None) -> str:
    """A file's name without extension, as text of at most MAX_STEM_BYTES: a longer one is cut, and
    ends with a digest of the path.

    Args:
        name: to be taken for the file's.
    """
    stem = (Path(path).stem if name is None else name).encode("utf-8", "surrogateescape")
    if len(stem) > MAX_STEM_BYTES:
        digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        return stem[: MAX_STEM_BYTES - 9].decode("utf-8", "ignore") + "_" + digest
    return stem.decode("utf-8", "replace")


def unique_stems(roots: Sequence[str] = ()) -> Callable[[str], str]:
    """A function file -> printable stem, so that nothing is overwritten: where another file has the
    stem, it gets the extension, 000.jpg -> 000, 000.png -> 000_png; else, as for a file that comes
    again, a number, 000_2. Stems that differ in case alone are one, as they are on many disks.

    Args:
        roots: folders that are read; a stem has the sub-folders below them: sub/000.
    """
    given: set[str] = set()
    first: dict[str, str] = {}  # file -> its first stem
    counters: defaultdict[str, itertools.count] = defaultdict(lambda: itertools.count(2))

    def stem_of(path: str) -> str:
        folders = [printable_stem(path, part) for part in _subfolders(path, roots)]
        stem = "/".join([*folders, printable_stem(path)])
        extension = printable_stem(path, Path(path).suffix[1:])
        whole = first.get(path) or (f"{stem}_{extension}" if extension else stem)
        names = itertools.chain([stem, whole], (f"{whole}_{n}" for n in counters[whole]))
        name = next(name for name in names if _on_any_disk(name) not in given)
        given.add(_on_any_disk(name))
        first.setdefault(path, name)
        return name

    return stem_of


def _on_any_disk(name: str) -> str:
    """What two names have in common that some file systems take for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _subfolders(path: str, roots: Sequence[str]) -> list[str]:
    """The folders between a file and the first of the roots that it lies in; none if in none."""
    for root in roots:
        parts = os.path.relpath(os.path.dirname(path), root or ".").split(os.sep)
        if parts[0] != os.pardir:
            return [part for part in parts if part != os.curdir]
    return []

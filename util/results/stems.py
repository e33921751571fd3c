"""What results are called: after the file that they come from, sub-folders included."""

import hashlib
import itertools
import os
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
    """A function file -> printable stem; one that comes again gets a number, so that nothing is
    overwritten: 000.jpg -> 000, 000.png -> 000_2.

    Args:
        roots: folders that are read; a stem has the sub-folders below them: sub/000.
    """
    given: set[str] = set()
    counters: defaultdict[str, itertools.count] = defaultdict(lambda: itertools.count(2))

    def stem_of(path: str) -> str:
        folders = [printable_stem(path, part) for part in _subfolders(path, roots)]
        name = stem = "/".join([*folders, printable_stem(path)])
        while name in given:
            name = f"{stem}_{next(counters[stem])}"
        given.add(name)
        return name

    return stem_of


def _subfolders(path: str, roots: Sequence[str]) -> list[str]:
    """The folders between a file and the first of the roots that it lies in; none if in none."""
    for root in roots:
        parts = os.path.relpath(os.path.dirname(path), root or ".").split(os.sep)
        if parts[0] != os.pardir:
            return [part for part in parts if part != os.curdir]
    return []

"""The order of files: numbers count by their value, so that frame2 comes before frame10."""

import contextlib
import functools
import os
import re
from collections.abc import Iterable, Iterator
from contextvars import ContextVar

NATURAL, PLAIN = "natural", "plain"  # of --file_order
_order = ContextVar("order", default=NATURAL)


Key = tuple[tuple[int, int | str], ...]


def natural_key(path: str) -> tuple[Key, ...]:
    """Sorts by folder after folder, and numbers in a name by their value."""
    return tuple(map(_key_of, path.split(os.sep)))


@functools.lru_cache(1024)  # many files have the same folders
def _key_of(name: str) -> Key:
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts)


def in_order(paths: Iterable[str]) -> list[str]:
    """Sorted: naturally, or within `ordered` as that says."""
    plain = sorted(paths)  # decides where 1 and 01 have the same value
    return plain if _order.get() == PLAIN else sorted(plain, key=natural_key)


@contextlib.contextmanager
def ordered(order: str) -> Iterator[None]:
    """Within, whoever lists files has them in this order: plug-ins as well, which know
    nothing of it."""
    token = _order.set(order)
    try:
        yield
    finally:
        _order.reset(token)

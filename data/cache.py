"""`--cache`: images, decoded and resized, kept from epoch to epoch: the same numbers, sooner.

Cached is what `--preprocess` makes of a file before chance decides on crop and flip, as uint8
(float32 where the file has more than 8 bits).
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import multiprocessing
import os
import uuid
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from util.atomic import barred, not_regular
from util.errors import UserError, say, warn
from util.images.picture import Picture

Key = tuple[str, str]  # (file, side)
MAGIC = 0x31454741  # of an entry's first number
MOST = 64  # pictures of an entry
TYPES = (np.dtype(np.uint8), np.dtype(np.float32))
# Of a file in the disk cache; the number rises with every change of what such a file holds, so that
# runs of two versions may share a folder.
SUFFIX = ".image2"
CHECKSUM_BYTES = 4  # at the end of such a file
LOCK_S = 1.0  # somebody was killed who held the lock: go on without writing


def pack(pictures: Sequence[Picture]) -> bytes:
    """An entry: MAGIC, how many; of each its type, C, H, W and its full size; then the values.

    They are stored as tensors lie in memory, (C, H, W): what is cropped from them every epoch is
    copied row by row then, and not value by value.
    """
    arrays = [picture.values.transpose(2, 0, 1) for picture in pictures]
    head = [MAGIC, len(arrays)]
    for array, picture in zip(arrays, pictures, strict=True):
        head += [TYPES.index(array.dtype), *array.shape, *picture.info["full"]]
    return b"".join([np.array(head, "<i8").tobytes(), *(array.tobytes() for array in arrays)])


def unpack(entry: np.ndarray, path: str) -> list[Picture] | None:
    """The pictures of an entry (bytes, not copied); None if it is not whole."""
    numbers = entry[: entry.size // 8 * 8].view("<i8")
    if numbers.size < 2 or numbers[0] != MAGIC or not 0 < numbers[1] <= MOST:
        return None
    head = numbers[2 : 2 + 6 * int(numbers[1])].tolist()
    begin, pictures = 16 + 8 * len(head), []
    for kind, c, h, w, *full in zip(*[iter(head)] * 6, strict=False):
        end = begin + c * h * w * TYPES[kind % 2].itemsize
        if end > entry.size:
            return None
        values = entry[begin:end].view(TYPES[kind % 2]).reshape(c, h, w).transpose(1, 2, 0)
        pictures.append(Picture(values, {"path": path, "full": tuple(full)}))
        begin = end
    return pictures if begin == entry.size and len(pictures) == numbers[1] else None


class Cache(ABC):
    """Args: bytes_most: that it holds; what comes later is read as if there were no cache."""

    def __init__(self, bytes_most: int) -> None:
        self.bytes_most = bytes_most
        # Shared by forked workers: [0] bytes in use; whether it was said that [1] the cache is full
        # or [2] an entry damaged.
        self.state = _shared(3)
        self.lock = multiprocessing.Lock()

    def fetch(self, key: Key, make: Callable[[], list[Picture]]) -> list[Picture]:
        """The pictures of a key; `make` makes them where they are not cached."""
        place = self.place(key)
        entry = self.load(place)
        if entry is not None and (cached := unpack(entry, key[0])):
            return cached
        pictures = make()
        if not self.state[1]:
            self.save(place, pack(pictures))
        return pictures

    def reserve(self, size: int) -> int | None:
        """Where so many bytes begin that are the caller's from now on; None if there is no room."""
        if self.state[1] or not self.lock.acquire(timeout=LOCK_S):
            return None
        try:
            begin = int(self.state[0])
            if begin + size > self.bytes_most:
                self.full(f"the cache is full ({self.bytes_most / 1e9:.3g} GB; see --cache_gb)")
                return None
            self.state[0] += size
            return begin
        finally:
            self.lock.release()

    def full(self, why: str) -> None:
        """Keep nothing more from now on, and say so once."""
        if not self.state[1]:
            self.state[1] = 1
            warn(f"{why}; further images are read from their files each time")

    @abstractmethod
    def place(self, key: Key) -> object:
        """What `load` and `save` know a key by."""

    @abstractmethod
    def load(self, place: object) -> np.ndarray | None:
        """The bytes of an entry; None if there is none."""

    @abstractmethod
    def save(self, place: object, entry: bytes) -> None:
        """Keep an entry, if there is room."""


class RamCache(Cache):
    """One piece of memory that all forked workers share: an image is there once, whoever reads it.
    Pages are taken from the system when they are first written to.

    Where processes are not forked (macOS, Windows), each worker begins without a cache.

    Args:
        keys: all that may be asked for.
    """

    def __init__(self, bytes_most: int, keys: Sequence[Key]) -> None:
        super().__init__(bytes_most)
        self.slots = {key: slot for slot, key in enumerate(keys)}
        self.begins, self.sizes = _shared(len(keys)), _shared(len(keys))
        self.memory = np.frombuffer(mmap.mmap(-1, max(bytes_most, 1)), np.uint8)

    def __reduce__(self) -> tuple:  # a spawned process cannot share it
        return RamCache, (0, ())

    def place(self, key: Key) -> int | None:
        """The key's number."""
        return self.slots.get(key)

    def load(self, place: int | None) -> np.ndarray | None:
        """The bytes of an entry, not copied."""
        if place is None or not (size := int(self.sizes[place])):
            return None
        begin = int(self.begins[place])
        return self.memory[begin : begin + size]

    def save(self, place: int | None, entry: bytes) -> None:
        """Append an entry; others see it when it is whole."""
        aligned = -(-len(entry) // 64) * 64
        if place is None or (begin := self.reserve(aligned)) is None:
            return
        self.memory[begin : begin + len(entry)] = np.frombuffer(entry, np.uint8)
        self.begins[place] = begin
        self.sizes[place] = len(entry)  # last: from here on it is there


class DiskCache(Cache):
    """A file for each entry, in a folder that runs may share, also at the same time: a file has its
    name from when it is whole, and the name tells of what, and by which options, it was made. It
    ends with a checksum of the rest, and whoever may read the folder may read it.

    Args:
        recipe: the options that decide the pixels.
    """

    def __init__(self, bytes_most: int, folder: Path, recipe: str) -> None:
        super().__init__(bytes_most)
        self.folder, self.recipe = folder, recipe
        sizes = {True: [0], False: [0]}  # whether entries are of this version -> their bytes
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_file() and not entry.name.startswith("."):
                        sizes[entry.name.endswith(SUFFIX)].append(entry.stat().st_size)
        except OSError as error:
            raise UserError(
                barred(folder)
                or f"--cache_dir {folder}: {error.strerror}; give a folder that may be written to"
            ) from error
        self.state[0] = sum(sizes[True])
        if count := len(sizes[False]) - 1:
            say(f"{folder}: {count} files are of another version, and neither used nor counted "
                f"({sum(sizes[False]) / 1e6:.3g} MB); delete them when you like")  # fmt: skip

    def place(self, key: Key) -> Path | None:
        """The entry's file, whose name tells what it was made of; None if that is not there."""
        path, side = key
        try:
            stat = os.stat(path)
        except OSError:  # reading tells what is wrong
            return None
        # A copy may keep the time of its source; that of its own change it cannot.
        times = stat.st_mtime_ns, stat.st_ctime_ns
        what = (os.path.abspath(path), *times, stat.st_size, side, self.recipe)
        return self.folder / (hashlib.sha256(repr(what).encode()).hexdigest()[:40] + SUFFIX)

    def load(self, place: Path | None) -> np.ndarray | None:
        """The bytes of the entry's file, if they are those that were written."""
        if place is None:
            return None
        try:
            content = np.fromfile(os.devnull if not_regular(place) else place, np.uint8)
        except OSError:
            return None
        entry, checksum = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
        if _checksum(entry) == checksum.tobytes():
            return entry
        if not self.state[2]:
            self.state[2] = 1
            warn(f"--cache_dir: {place} is damaged, and made anew; so are others like it. If that "
                 "comes again, look after the disk")  # fmt: skip
        return None

    def save(self, place: Path | None, entry: bytes) -> None:
        """Write an entry, whole or not at all."""
        if place is None or self.reserve(len(entry) + CHECKSUM_BYTES) is None:
            return
        part = place.with_name(f".{place.name}.{uuid.uuid4().hex}.part")
        try:
            with open(part, "xb") as file:
                file.write(entry)
                file.write(_checksum(entry))
            self._share(part)
            os.replace(part, place)
        except OSError as error:
            self.full(f"--cache_dir {self.folder}: {error.strerror}")
            with contextlib.suppress(OSError):
                part.unlink()

    def _share(self, file: Path) -> None:
        """Let everybody read a file who may read the folder, whatever the umask says."""
        mode = file.stat().st_mode
        if missing := self.folder.stat().st_mode & 0o044 & ~mode:
            with contextlib.suppress(OSError):  # some network folders have modes of their own
                file.chmod(mode | missing)


def _checksum(entry: bytes | np.ndarray) -> bytes:
    """CRC-32: it finds a lost tail or a flipped bit, and takes 0.07 ms of an image of 286 px."""
    return zlib.crc32(entry).to_bytes(CHECKSUM_BYTES, "little")


def _shared(count: int) -> np.ndarray:
    """Numbers, all 0, that forked processes share."""
    return np.frombuffer(mmap.mmap(-1, 8 * max(count, 1)), np.int64)

"""Archives from elsewhere: unpacked whole, or refused whole."""

import errno
import gzip
import os
import platform
import shutil
import stat
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from util.errors import UserError
from util.images.formats import extensions, how_to_convert
from util.record import counted

MAX_ENTRIES = 500_000
MAX_RATIO = 20  # unpacked to packed bytes; photographs hardly shrink
ALWAYS_ALLOWED = 64 << 20  # bytes that the smallest archive may unpack to
MAX_DEPTH = 32  # folders in each other
HEADER_BYTES = 1 << 20  # of a tar, between two files
CHUNK = 1 << 20
# A name too odd for the file system, or a place in the archive that there cannot be.
ODD = {None, errno.EINVAL, errno.EILSEQ}

Entry = tuple[str, IO[bytes] | None, int]  # name, content (a folder has none), declared bytes


class _Refused(Exception):
    """Why an archive is not unpacked."""


def unpack(archive: Path, folder: Path, max_entries: int = MAX_ENTRIES) -> None:
    """Unpack a zip, tar or tar.gz; the folder appears when its last file is written.

    Regular files and folders only: links, devices, names that lead out of the folder, and more than
    20 times the archive's size (64 MB for a small one) are refused. Sizes that an archive declares
    are not believed. Rights and owners in it are ignored.

    Raises:
        UserError: refused or damaged; nothing is left then. Or Python is too old.
    """
    if not hasattr(tarfile, "data_filter"):
        raise UserError(f"Python {platform.python_version()}: archives need 3.11.4 or newer")
    limit = max(MAX_RATIO * archive.stat().st_size, ALWAYS_ALLOWED)
    part = folder.with_name(f".{folder.name}.unpacking")
    if part.exists():
        shutil.rmtree(part)  # of a process that was killed
    part.mkdir(parents=True)
    try:
        _fill(part, _entries(archive, part, limit), limit, max_entries)
        part.rename(folder)
    except _Refused as why:
        raise UserError(f"{archive.name}: refused: {why}; nothing was unpacked") from None
    except Exception as error:  # of any kind: the bytes decide what goes wrong
        if isinstance(error, OSError) and error.errno not in ODD:
            raise
        raise UserError(
            f"{archive.name}: damaged ({' '.join(str(error).split())[:100]}); download it again"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def refuse_without_images(folder: Path, name: str) -> None:
    """Raise UserError, with what there is instead, if no file below a folder is an image.

    Args:
        name: that the folder is known by.
    """
    others: Counter[str] = Counter()
    for _, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if not each.startswith((".", "__MACOSX"))]
        for file in files:
            extension = os.path.splitext(file)[1].lower()
            if extension in extensions() and not file.startswith("."):
                return
            others[extension or "without extension"] += 1
    kinds = [
        f"{counted(count, 'file')} {kind}{how_to_convert(kind)}"
        for kind, count in others.most_common(5)
    ]
    raise UserError(
        f"{name}: no image in it: {'; '.join(kinds) or 'it is empty'}; accepted: "
        f"{' '.join(extensions())}"
    )


def _entries(archive: Path, folder: Path, limit: int) -> Iterator[Entry]:
    with open(archive, "rb") as file:
        start = file.read(512)
    if start.startswith(b"PK"):
        return _zip_entries(archive)
    if start.startswith(b"\x1f\x8b") or start[257:262] == b"ustar":
        return _tar_entries(archive, folder, start.startswith(b"\x1f\x8b"), limit)
    raise _Refused("neither a zip nor a tar archive")


def _fill(folder: Path, entries: Iterable[Entry], left: int, max_entries: int) -> None:
    """Write entries into a folder, `left` bytes at most."""
    for count, (name, content, size) in enumerate(entries, 1):
        if count > max_entries:
            raise _Refused(f"more than {max_entries} files")
        path = folder / _checked(name)
        try:
            if content is None:
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "xb") as file:
                copied = _copy(content, file, left)
            left -= copied
            if copied != size:
                raise ValueError(f"{_shown(name)} has {copied} of {size} bytes")
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise _Refused(f"{_shown(name)} comes twice") from None


def _copy(content: IO[bytes], file: IO[bytes], left: int) -> int:
    """Bytes copied, `left` at most."""
    copied = 0
    while chunk := content.read(CHUNK):
        copied += len(chunk)
        if copied > left:
            raise _Refused("unpacks to far more than its size (a bomb)")
        file.write(chunk)
    return copied


def _checked(name: str) -> PurePosixPath:
    """A name that stays in the folder, on any system."""
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or "\\" in name or PureWindowsPath(name).drive:
        raise _Refused(f"{_shown(name)} leads out of the folder")
    too_long = len(parts) > MAX_DEPTH or any(len(os.fsencode(part)) > 255 for part in parts)
    if too_long or any(ord(letter) < 32 for letter in name):
        raise _Refused(f"{_shown(name)} is no name for a file")
    return PurePosixPath(name)


def _shown(name: str) -> str:
    return ascii(name[:80])


def _zip_entries(archive: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            name = info.orig_filename  # not cut off at a NUL
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _Refused(f"{_shown(name)} is a link or a device")
            if info.flag_bits & 1:
                raise _Refused(f"{_shown(name)} is encrypted")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _Refused(f"{_shown(name)} is packed in an unusual way")  # and unboundedly
            if name.endswith("/"):
                yield name, None, 0
            else:
                with opened.open(info) as content:
                    yield name, content, info.file_size


def _tar_entries(archive: Path, folder: Path, gzipped: bool, limit: int) -> Iterator[Entry]:
    with (gzip.open if gzipped else open)(archive, "rb") as stream:
        metered = _Metered(stream)
        with tarfile.open(fileobj=metered, mode="r|", tarinfo=_Header) as opened:
            while member := opened.next():
                opened.members.clear()  # it would keep them all
                _check_member(member, folder)
                metered.left = HEADER_BYTES + max(member.size, 0)
                content = None if member.isdir() else opened.extractfile(member)
                yield member.name, content, member.size
                metered.left = HEADER_BYTES
        metered.left = limit
        while metered.read(CHUNK):
            pass  # to the end, where gzip keeps its check sum


def _check_member(member: tarfile.TarInfo, folder: Path) -> None:
    """Python's rules for what comes from elsewhere; and no links, harmless ones neither."""
    odd = member.issparse() or member.islnk() or member.issym()
    try:
        tarfile.data_filter(member, str(folder))
    except tarfile.SpecialFileError:
        odd = True
    except tarfile.FilterError as error:
        if not odd:
            raise _Refused(f"{_shown(member.name)} leads out of the folder") from error
    if odd:
        raise _Refused(f"{_shown(member.name)} is a link or a device")


class _Metered:
    """A stream that gives `left` bytes at most, for headers may declare any size."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.left = stream, HEADER_BYTES

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise _Refused("its headers are far too long")
        return data


class _Header(tarfile.TarInfo):
    """Python takes what is no header, after the first file, for the end of the archive."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise  # the block of zeros that ends an archive
            raise tarfile.ReadError(f"not a tar header: {error}") from error
        if header.size < 0:
            raise tarfile.ReadError(f"a size of {header.size} bytes")
        return header

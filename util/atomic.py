"""What becomes a file: its name stays in its folder, no link is followed, and it is there whole or
not at all."""

import contextlib
import hashlib
import itertools
import os
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from util.errors import UserError

SPECIAL = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
}  # fmt: skip

# Of the 255 bytes that a name may have; the rest is for what we put around it: `.NAME.lock`.
MOST_BYTES = 240


def fault_of_name(name: str) -> str:
    """What keeps a text from being the name of a file or folder, on every system, that stays where
    it is put: "it is empty"; nothing does: an empty text."""
    try:
        size = len(name.encode("utf-8", "surrogateescape"))
    except UnicodeError:
        return "it holds half a character"
    faults = {
        "it is empty": not name,
        "it stands for a folder that is there already": name in (".", ".."),
        "it holds / or \\": any(sign in name for sign in "/\\"),
        "it holds a control character": any(unicodedata.category(c) == "Cc" for c in name),
        "it ends with a dot or a space": name.endswith((".", " ")),
        f"it has {size} bytes, {MOST_BYTES} are the most": size > MOST_BYTES,
    }
    return next((fault for fault, found in faults.items() if found), "")


def plain(name: str, what: str) -> str:
    """The name itself, which a person, a plug-in or a state has given, before it becomes a path.

    Args:
        what: it is the name of, for the message.

    Raises:
        UserError: it would lead elsewhere, or is no name at all.
    """
    if fault := fault_of_name(name):
        given = repr(name if len(name) < 80 else f"{name[:80]}...")
        raise UserError(f"{what} {given}: {fault}; accepted: a name that stays in its folder")
    return name


def inside(folder: str | Path, *names: str, what: str) -> Path:
    """The path of what is called so in `folder`, and in the folders of it; see `plain`."""
    return Path(folder).joinpath(*(plain(name, what) for name in names))


def stays(path: object) -> bool:
    """Whether what a file tells of (a manifest, a page) lies below that file's folder, however odd
    its name."""
    if not isinstance(path, str) or "\0" in path:
        return False
    parts = path.replace(os.sep, "/").split("/")
    return not {"", ".", ".."} & set(parts) and not Path(path).drive


def refuse_no_folder(folder: Path, flag: str) -> None:
    """Raise UserError if something else is in the place of a folder that may be there, or be made.

    Args:
        flag: that gives it another place, for the message.
    """
    if folder.is_symlink() and not folder.exists():
        raise UserError(
            f"{folder}: a link to {os.readlink(folder)}, which is not there; mount that disk, or "
            "make the folder, or delete the link"
        )
    if folder.exists() and not folder.is_dir():
        kind = not_regular(folder).partition(",")[0] or "a file"
        raise UserError(
            f"{folder}: {kind} is where a folder should be; move it away, or give another {flag}"
        )


def own_folder(folder: Path) -> None:
    """Make a folder of ours, unless it is there.

    Raises:
        UserError: a link is in its place. (Folders above it may be links, to a larger disk.)
    """
    if folder.is_symlink():
        raise UserError(
            f"{folder}: a link to {os.readlink(folder)}, which is not followed; delete it, or let "
            f"a folder above {folder.parent.name} be the link"
        )
    folder.mkdir(parents=True, exist_ok=True)


def write(path: Path, content: bytes, durable: bool = True) -> None:
    """A file that appears under its name when its last byte is written. Where the name is that of
    a link, it takes the link's place, and what that leads to stays as it is.

    Args:
        durable: wait until it is on disk, so that it outlives a power cut.
    """
    with replacing(path) as part, open_here(part, "xb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def open_here(path: Path, mode: str) -> BinaryIO:
    """`open` for bytes that are written; a link is an error (OSError, ELOOP)."""
    no_link = getattr(os, "O_NOFOLLOW", 0)  # Windows has none
    return open(path, mode, opener=lambda name, flags: os.open(name, flags | no_link, 0o666))


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path`, where nothing is, to write to; the file gets its name at the end, or is
    deleted if that fails."""
    part = path.with_name(f".{_short(path.name)}.part")
    try:
        part.unlink(missing_ok=True)  # of a process that was killed, or somebody's link
        yield part
        os.replace(part, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno:
            error.filename = str(path)  # the name that a user knows
        raise


def sync(path: Path) -> None:
    """Make what was written to a file, or renamed in a folder, outlive a power cut; not every
    system can."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _short(name: str) -> str:
    """A name that leaves room for more, of one that may have all the bytes that there are."""
    octets = name.encode("utf-8", "surrogateescape")
    return name if len(octets) <= MOST_BYTES else hashlib.sha256(octets).hexdigest()


def not_regular(path: str | Path) -> str:
    """Why something must not be opened as a file, e.g. "a named pipe, not a regular file": reading
    it may never end. Empty for a file or a link to one, and where there is nothing."""
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except (OSError, ValueError):
        return ""  # opening it tells what is wrong
    return "" if kind == stat.S_IFREG else f"{SPECIAL.get(kind, 'special')}, not a regular file"


def barred(path: str | os.PathLike) -> str:
    """What keeps this process from reading a file, or from entering a folder: one that exists, and
    what to do; empty if nothing does, or there is no such file."""
    real = os.path.realpath(path)
    folders = list(itertools.accumulate(real.split(os.sep)[1:], os.path.join, initial=os.sep))
    for place in folders:
        if not os.path.lexists(place) or place != real and not os.path.isdir(place):
            return ""
        needed = os.X_OK if place != real else os.R_OK | os.X_OK * os.path.isdir(place)
        if not os.access(place, needed):
            return (
                f"{place}: cannot be read: it is {_owner(place)}'s alone; ask for `chmod -R a+rX "
                f"{place}`, or for a copy"
            )
    return ""


def lost_folder() -> str:
    """Why relative paths lead nowhere, and what to do; empty as long as they lead somewhere."""
    try:
        os.getcwd()
    except OSError:
        return (
            "the folder that this command was started in is not there any more; cd to one that is, "
            "or leave it and enter it again"
        )
    return ""


def _owner(path: str) -> str:
    number = os.stat(path).st_uid
    with contextlib.suppress(ImportError, KeyError):  # Windows; a user whom nobody knows
        import pwd

        return pwd.getpwuid(number).pw_name
    return f"user {number}"


def check_readable(path: str | os.PathLike, flag: str = "") -> None:
    """Raise UserError if a file or folder is there and may not be read, before it is taken for one
    that is not there.

    Args:
        flag: that named it, for the message.
    """
    if why := barred(path):
        raise UserError(f"{flag}: {why}" if flag else why)


@contextlib.contextmanager
def files_of(flags: Mapping[str, Any]) -> Iterator[None]:
    """Around what plug-ins do with their flags: a file that a flag names, and that is not there, is
    a user's mistake, told with the flag.

    Args:
        flags: name -> value.
    """
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        for flag, given in flags.items():
            for value in given if isinstance(given, (list, tuple)) else [given]:
                if isinstance(value, (str, Path)) and _is_about(error, str(value)):
                    file = "" if error.filename in (None, value) else f": {error.filename}"
                    why = error.strerror or str(error)
                    raise UserError(
                        f"--{flag} {value}{file}: {why}; give a file that is there"
                    ) from error
        raise


def _is_about(error: OSError, path: str) -> bool:
    """Whether an error tells of a path, or of what is in the folder of that name."""
    if error.filename is None:
        return path in str(error).split()
    file = Path(os.fsdecode(error.filename))
    return bool(path) and path != "." and (Path(path) == file or Path(path) in file.parents)


def refuse_special(path: str | Path, flag: str = "") -> None:
    """Raise UserError if a file that a user names may not be read, or is no regular one; see
    `not_regular`."""
    check_readable(path, f"--{flag}" * bool(flag))
    if kind := not_regular(path):
        raise UserError(f"{f'--{flag} ' * bool(flag)}{path}: {kind}; give a file")

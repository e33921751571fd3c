"""Mistakes a user can mend, told in one line."""

import argparse
import contextlib
import errno
import functools
import io
import logging
import os
import re
import select
import sys
import traceback
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import NoReturn, TextIO, TypeVar

from tqdm import tqdm

from util.lazy import Lazy

# These use the classes below.
atomic, distributed, machine, signals = map(
    Lazy, ("util.atomic", "util.distributed", "util.machine", "util.signals")
)

T = TypeVar("T")
# A full or read-only disk, a quota, a file too large, somebody else's folder.
CANNOT_WRITE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES, errno.EPERM}


class UserError(ValueError):
    """A wrong flag, file or folder. The message holds the value, what is accepted, what to do."""

    exit_code = 2  # of a command that did nothing; see `begun`


class BadImage(UserError):
    """A file that cannot be used as an image of the data; `--bad_images skip` goes on without."""

    def __init__(self, path: str, why: str, remedy: str = "replace or remove the file") -> None:
        super().__init__(f"{path}: {why}; {remedy}")
        self.path, self.why = path, why


class NonFinite(UserError):
    """A loss or a gradient is NaN or infinite."""

    exit_code = 3


class SaveError(UserError):
    """A checkpoint could not be written; the ones before it are as they were."""

    exit_code = 1


class Stopped(Exception):
    """A run was asked to stop, and has saved."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@contextlib.contextmanager
def begun() -> Iterator[None]:
    """From here on the command is at work: what fails is its work, no longer its command line, and
    a UserError's exit code is 1 instead of 2. Also a decorator."""
    try:
        yield
    except UserError as error:
        if error.exit_code == UserError.exit_code:
            error.exit_code = 1
        raise


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for the nearest of `known`, or an empty string."""
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(given.lower(), by_lower, n=1, cutoff=0.6)
    return f"; did you mean {by_lower[near[0]]}?" if near else ""


def choose(flag: str, name: str, table: dict[str, T]) -> T:
    """The entry of a table that a flag's value names; UserError with the accepted names if none."""
    if name not in table:
        names = [str(key) for key in table]
        near = did_you_mean(str(name), names)
        raise UserError(f"--{flag} {name}: accepted: {', '.join(names)}{near}")
    return table[name]


class OneLineParser(argparse.ArgumentParser):
    """For commands of their own: a wrong command line is told in one line."""

    def error(self, message: str) -> NoReturn:
        """argparse's way out, in our form."""
        raise UserError(f"{' '.join(message.split())}; --help shows the manual")


log = logging.getLogger("image_translation")  # what the framework says, for whoever listens


class Terminal(logging.Handler):
    """Writes each record as a line above the progress bar: on stdout, warnings and errors on
    stderr; what these are is looked up at each line.

    Of several processes only the first speaks, but each one tells its error.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Write what this process is the one to say, and see to it that others do not again."""
        for handler in logging.getLogger().handlers:  # which a notebook or a library has put there
            if type(handler) is logging.StreamHandler and handler.stream in _terminals():
                handler.addFilter(_is_of_others)
        speaks = distributed.speaks() or record.levelno >= logging.ERROR
        return speaks and super().handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, if there is still anything that it can be written to."""
        keep_streams()
        bare = getattr(record, "bare", False) or record.levelno < logging.WARNING
        kind = "" if bare else f"{record.levelname.lower()}: "
        stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
        _print(kind + record.getMessage(), stream)


def _terminals() -> tuple[TextIO, ...]:
    return sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__


def _is_of_others(record: logging.LogRecord) -> bool:
    """A filter that keeps our lines from standing on a terminal twice."""
    return record.name != log.name


# Letters without a shape of their own that the scripts of some languages need.
JOINERS = "\u200c\u200d"


def shown(name: object) -> str:
    """A name as it may stand within a line, on a terminal or in a log.

    What would steer the terminal, begin another line or turn the direction of writing is escaped
    (`\\n`, `\\x1b`, `\\u202e`), and so are bytes that are no UTF-8 (`\\xff`).
    """
    text = readable(str(name))
    return text if text.isprintable() else "".join(map(_shown_character, text))


def readable(name: str) -> str:
    """A name with its letters, which a C locale gives as single bytes."""
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    except UnicodeError:  # half a character
        return name


def on_disk(name: str) -> str:
    """A name out of a file, as paths have it here; `readable` is its counterpart."""
    try:
        return os.fsdecode(name.encode("utf-8", "surrogateescape"))
    except UnicodeError:
        return name


def _shown_character(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte
        return f"\\x{ord(character) - 0xDC00:02x}"
    if character.isprintable() or unicodedata.category(character) == "Zs" or character in JOINERS:
        return character
    return character.encode("unicode_escape").decode()


def shown_lines(text: str) -> str:
    """A text of several lines, each as `shown` gives it."""
    return "\n".join(map(shown, text.split("\n")))


def _escaped(record: logging.LogRecord) -> bool:
    """A filter that escapes what names may bring along, before anybody hears of it; warnings and
    errors are one line each."""
    text, one_line = record.getMessage(), record.levelno >= logging.WARNING
    record.msg, record.args = shown(text) if one_line else shown_lines(text), None
    return True


log.setLevel(logging.INFO)
log.addFilter(_escaped)
log.addHandler(Terminal())


def say(text: str, level: int = logging.INFO) -> None:
    """Print a line as it is, on stdout; with level WARNING on stderr. Of several processes only
    the first one speaks."""
    _log(level, text, bare=True)


def warn(message: str) -> None:
    """Say `warning: ...` on stderr; of several processes only the first one speaks."""
    _log(logging.WARNING, message)


def _log(level: int, text: str, **extra: object) -> None:
    log.disabled = False  # logging.config turns off every logger that it does not know
    log.log(level, "%s", text, extra=extra)


def _print(text: str, stream: TextIO) -> None:
    try:
        with tqdm.external_write_mode(stream, nolock=True):  # above a progress bar
            try:
                print(text, file=stream, flush=True)
            except UnicodeEncodeError:  # a terminal that has no such letters
                encoding = stream.encoding or "ascii"
                readable = text.encode(encoding, "backslashreplace").decode(encoding)
                print(readable, file=stream, flush=True)
    except (OSError, ValueError):  # somebody else's stream, see `keep_streams`; it may be closed
        return


class _Lasting(io.FileIO):
    """stdout or stderr of this process. What cannot be written (the disk that it is redirected to
    is full, tee was killed by the same Ctrl-C) is no reason to fail: it is said once, on the other
    of the two, and what follows goes nowhere."""

    def __init__(self, number: int) -> None:
        super().__init__(number, "w", closefd=False)

    def write(self, data: bytes) -> int:
        """All of them are taken, wherever they go."""
        try:
            while (written := super().write(data)) is None:  # a pipe that does not block, and full
                select.select([], [self], [])
            return written
        except OSError as error:
            number = self.fileno()
            _to_nowhere(number)
            lost_streams.add(number)
            reader_left = error.errno in (errno.EPIPE, errno.EIO)
            if not reader_left and len(lost_streams) == 1:  # else there is nobody to tell
                told = f"{STREAMS[number]} cannot be written ({error.strerror}); going on without"
                _log(logging.WARNING if number == 1 else logging.INFO, told)
            return len(data)


STREAMS = {0: "stdin", 1: "stdout", 2: "stderr"}
lost_streams: set[int] = set()  # those that could not be written


def keep_streams() -> None:
    """Let nothing that is printed end this process, whoever prints it: a stream that is closed or
    breaks leads nowhere from then on, and letters that it has no code for are escaped."""
    for number, name in STREAMS.items():
        stream = getattr(sys, name)
        if stream is None:
            # Files that are opened later must not get the number of a stream: libraries print.
            _to_nowhere(number)
            setattr(sys, name, open(os.devnull, "w" if number else "r"))  # noqa: SIM115
        elif number and type(stream) is io.TextIOWrapper:
            raw = getattr(stream.buffer, "raw", stream.buffer)
            if type(raw) is io.FileIO and raw.fileno() == number:
                setattr(sys, name, _lasting(stream, number))


def _lasting(stream: io.TextIOWrapper, number: int) -> io.TextIOWrapper:
    with contextlib.suppress(OSError):
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Lasting(number)),
        stream.encoding,
        "backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _to_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)


def quiet_decoders() -> None:
    """Leave it to our errors to tell what is wrong with an image; for entry points, and for worker
    processes that are not forked."""
    for name in ("PIL.TiffImagePlugin", "tifffile"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Of Pillow, over large images; our own bound is stricter.
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit")


def refuse_kernel_arguments(words: Iterable[str]) -> None:
    """Raise UserError where the command line is that of a notebook's kernel, not of a script."""
    words = list(words)
    for before, word in zip(["", *words], words, strict=False):
        file = word.partition("=")[2] if word.startswith(("-f=", "--f=")) else word
        of_kernel = re.search(r"(^|[/\\])kernel[^/\\]*\.json$", file)
        if of_kernel and (before == "-f" or file != word):
            raise UserError(
                f"the arguments here are those of the notebook's kernel (-f {file}); give your "
                'own: main(["--dataroot", "FOLDER", "--name", "NAME"])'
            )


def one_line_errors(main: Callable[..., int]) -> Callable[..., int]:
    """Decorate an entry point: a UserError becomes one line and its exit code, and so do a signal
    that ends it and memory that runs out.

    `--debug` among the arguments shows the trace as well.
    """

    def trace_if_wanted(argv: list[str] | None) -> None:
        if "--debug" in (sys.argv if argv is None else argv):
            _print(shown_lines(traceback.format_exc().rstrip()), sys.stderr)

    @functools.wraps(main)
    def guarded(argv: list[str] | None = None) -> int:
        keep_streams()
        quiet_decoders()
        try:
            if argv is None:
                refuse_kernel_arguments(sys.argv[1:])
            if lost := atomic.lost_folder():
                raise UserError(lost)
            with signals.interruptible(), machine.memory_errors():
                return main(argv)
        except UserError as error:
            trace_if_wanted(argv)
            _log(logging.ERROR, str(error))
            return error.exit_code
        except Stopped as stopped:
            # What is broken off is told where errors are, what has saved is not one.
            say(str(stopped), logging.WARNING if stopped.__cause__ else logging.INFO)
            return stopped.exit_code
        except OSError as error:
            lost = atomic.lost_folder() if error.errno == errno.ENOENT else ""
            if error.errno not in CANNOT_WRITE and not lost:
                raise
            trace_if_wanted(argv)
            where = error.filename or "the run's folder"
            told = lost or atomic.barred(where) or f"{where}: cannot be written ({error.strerror})"
            _log(logging.ERROR, told)
            return 1

    return guarded

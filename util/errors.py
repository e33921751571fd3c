"""Mistakes a user can mend, told in one line."""

import argparse
import contextlib
import errno
import functools
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import NoReturn, TextIO, TypeVar

from tqdm import tqdm

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

    Of several processes only the first speaks, but each one tells its error. A reader that has gone
    away (tee, killed by the same Ctrl-C) is no reason to fail.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Write what this process is the one to say, and see to it that others do not again."""
        for handler in logging.getLogger().handlers:  # which a notebook or a library has put there
            if type(handler) is logging.StreamHandler and handler.stream in _terminals():
                handler.addFilter(_is_of_others)
        speaks = os.environ.get("RANK", "0") == "0" or record.levelno >= logging.ERROR
        return speaks and super().handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line; a full disk behind a redirected stream is raised."""
        bare = getattr(record, "bare", False) or record.levelno < logging.WARNING
        kind = "" if bare else f"{record.levelname.lower()}: "
        stream = sys.stderr if record.levelno >= logging.WARNING else sys.stdout
        _print(kind + record.getMessage(), stream)


def _terminals() -> tuple[TextIO, ...]:
    return sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__


def _is_of_others(record: logging.LogRecord) -> bool:
    """A filter that keeps our lines from standing on a terminal twice."""
    return record.name != log.name


log.setLevel(logging.INFO)
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
            except UnicodeEncodeError:  # a file's name that is not UTF-8, or a terminal that is not
                readable = text.encode("ascii", "backslashreplace").decode()
                print(readable, file=stream, flush=True)
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        _to_nowhere(stream)


def _to_nowhere(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def quiet_decoders() -> None:
    """Leave it to our errors to tell what is wrong with an image; for entry points, and for worker
    processes that are not forked."""
    for name in ("PIL.TiffImagePlugin", "tifffile"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Of Pillow, over large images; our own bound is stricter.
    warnings.filterwarnings("ignore", message="Image size .* exceeds limit")


def one_line_errors(main: Callable[..., int]) -> Callable[..., int]:
    """Decorate an entry point: a UserError becomes one line and its exit code, Ctrl-C 130.

    `--debug` among the arguments shows the trace as well.
    """

    def trace_if_wanted(argv: list[str] | None) -> None:
        if "--debug" in (sys.argv if argv is None else argv):
            traceback.print_exc()

    @functools.wraps(main)
    def guarded(argv: list[str] | None = None) -> int:
        quiet_decoders()
        try:
            return main(argv)
        except UserError as error:
            trace_if_wanted(argv)
            _log(logging.ERROR, str(error))
            return error.exit_code
        except Stopped as stopped:
            say(str(stopped))
            return stopped.exit_code
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:  # the reader (`| head`) went away: nothing more can be said
            _to_nowhere(sys.stdout)
            return 1
        except OSError as error:
            if error.errno not in CANNOT_WRITE:
                raise
            trace_if_wanted(argv)
            where = error.filename or "the run's folder"
            _log(logging.ERROR, f"{where}: cannot be written ({error.strerror})")
            return 1

    return guarded

"""What the command line tools share: a strict parser, work on many files, and two pictures side by
side in one."""

import argparse
import functools
import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from util import atomic
from util.errors import (
    CANNOT_WRITE,
    BadImage,
    OneLineParser,
    UserError,
    begun,
    did_you_mean,
    lost_streams,
)
from util.images.header import Header, read_header
from util.machine import cores
from util.signals import leave_to_parent

WORKERS_MOST = 61  # Windows waits for no more processes


class ToolParser(OneLineParser):
    """--help shows the manual; a wrong command line is told in one line.

    Args:
        manual: the script's docstring.
    """

    def __init__(self, manual: str) -> None:
        super().__init__(
            description=manual,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def parse_args(self, argv: Sequence[str] | None = None) -> argparse.Namespace:
        args, unknown = self.parse_known_args(argv)
        if unknown:
            near = did_you_mean(unknown[0], self._option_string_actions)
            self.error(f"{unknown[0]}: no such flag{near}")
        return args


def reports(main: Callable[..., int]) -> Callable[..., int]:
    """Decorate a command whose work is what it prints: where that could not be written, on a full
    disk or to a reader that has gone away, its exit code is not 0."""

    @functools.wraps(main)
    def told(argv: list[str] | None = None) -> int:
        code = main(argv)
        return code or int(1 in lost_streams)

    return told


def refuse_inside(out: str | Path, folder: str | Path, flag: str) -> None:
    """What is written must not come to lie among what is read."""
    there = next(path for path in (Path(out), *Path(out).absolute().parents) if path.exists())
    if not there.is_dir():
        raise UserError(f"{flag} {out}: {there} is a file; give a folder")
    if Path(out).resolve().is_relative_to(Path(folder).resolve()):
        raise UserError(f"{flag} {out}: inside {folder}, which is read; give another folder")


def write(path: Path, content: bytes) -> None:
    """Whole or not at all, making folders.

    Raises:
        OSError: with the path, whatever the system names.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


@begun()
def for_each(work: Callable[..., None], jobs: Sequence[tuple], parallel: bool = True) -> None:
    """work(*job) for every job, in several processes.

    Args:
        work: a function at the top level of a module, which processes find by its name.

    Raises:
        UserError: with exit code 1: files failed; the others are done.
        OSError: nothing more can be written.
    """
    attempt = functools.partial(_attempt, work)
    outcomes = _in_processes(attempt, jobs) if parallel else map(attempt, jobs)
    shown = tqdm(outcomes, total=len(jobs), disable=None, leave=False)
    if not (faults := [fault for fault in shown if fault]):
        return
    if len(faults) == 1:
        raise UserError(faults[0])
    more = "; ..." if len(faults) > 3 else ""
    raise UserError(f"{len(faults)} of {len(jobs)} failed: {'; '.join(faults[:3])}{more}")


def _in_processes(attempt: Callable[[tuple], str], jobs: Sequence[tuple]) -> Iterator[str]:
    workers = min(cores(), WORKERS_MOST, len(jobs)) or 1
    chunk = max(1, min(16, len(jobs) // (4 * workers)))
    try:
        with ProcessPoolExecutor(workers, initializer=leave_to_parent) as pool:
            yield from pool.map(attempt, jobs, chunksize=chunk)
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process was killed, as happens when memory runs out; "
            "free some and give the command again"
        ) from error


def _attempt(work: Callable[..., None], job: tuple) -> str:
    """What is wrong with a job's files; empty if all went well."""
    try:
        work(*job)
    except UserError as error:
        return str(error)
    except OSError as error:
        if error.errno in CANNOT_WRITE:
            raise
        return f"{error.filename}: {error.strerror}"
    return ""


def eight_bit_header(path: str, remedy: str) -> Header:
    """The header of a file that goes into an 8-bit colour picture as it is.

    Raises:
        BadImage: it cannot be read, or would lose bits or channels; ends with the remedy.
    """
    try:
        header = read_header(path)
    except OSError as error:
        raise BadImage(path, f"cannot be read ({error.strerror})") from error
    if header.deep:
        told = f"{header.describe()}, which would be cut to 8 bits a value and three channels"
        raise BadImage(path, told, remedy)
    return header


def glue(left: Image.Image, right: Image.Image) -> Image.Image:
    """Both of one size, in one RGB image of twice the width."""
    if left.size != right.size:
        raise UserError(f"{_px(left.size)} px and {_px(right.size)} px do not fit side by side")
    both = Image.new("RGB", (2 * left.width, left.height))
    both.paste(left, (0, 0))
    both.paste(right, (left.width, 0))
    return both


def _px(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def save_picture(image: Image.Image, path: Path, quality: int = 95) -> None:
    """Write a picture whole or not at all; JPEG keeps full colour resolution, WebP all."""
    kind = Image.registered_extensions()[path.suffix.lower()]
    options = {"JPEG": {"quality": quality, "subsampling": 0}, "WEBP": {"lossless": True}}
    content = io.BytesIO()
    try:
        image.save(content, kind, **options.get(kind, {}))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be written as {kind} ({error})") from error
    write(path, content.getvalue())

"""What translate.py has to do: which images, and where each of them goes."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from util.errors import UserError
from util.images.write import Encoding, result_extensions
from util.results.stems import unique_stems

ListFolder = Callable[[str], list[str]]  # the images below a folder


class Job(NamedTuple):
    """An image file to translate.

    Args:
        source: the file, or "-" for standard input.
        target: the file to write, without its extension.
        encoding: of the target; None: as the source.
        place: among all images.
        ending: of the target, as somebody typed it; empty: as the format has it.
    """

    source: str
    target: Path
    encoding: Encoding | None
    place: int
    ending: str = ""


def jobs_of(
    images: list[str], output: Path, encoding: Encoding | None, list_folder: ListFolder
) -> Iterator[Job]:
    """What there is to do, in order.

    Args:
        images: files, folders and patterns; "-" is standard input.
        output: a file for one image, else a folder.
        encoding: of the results; None: as the images.

    Raises:
        UserError: an image is not there, or the output is no place for the images.
    """
    found = [(file, root) for given in images
             for file, root in _files(given, list_folder)]  # fmt: skip
    single = len(found) == 1 and not found[0][1] and output.suffix and not output.is_dir()
    if single:
        kind = output.suffix.lower().lstrip(".")
        if encoding is None and kind in ("png", "jpg", "jpeg", "webp"):
            encoding = Encoding.of(kind)
        yield Job(found[0][0], output.with_suffix(""), encoding, 0, output.suffix)
        return
    if output.exists() and not output.is_dir():
        raise UserError(f"-o {output}: there already, and neither a picture nor a folder")
    if output.suffix.lower() in result_extensions() or output.is_file():
        raise UserError(f"-o {output}: a file for {len(found)} images; give a folder")
    for root in {root for _, root in found if root}:
        if output.resolve().is_relative_to(Path(root).resolve()):
            raise UserError(
                f"-o {output}: inside {root}, which is read: the next call would translate its "
                "own results; give another folder"
            )
    stem_of = unique_stems(sorted({root for _, root in found if root}))
    for place, (file, _) in enumerate(found):
        yield Job(file, output / stem_of(file), encoding, place)


def _files(given: str, list_folder: ListFolder) -> Iterator[tuple[str, str]]:
    """(file, the folder that it was found in, or empty) of one argument."""
    if os.path.isdir(given):
        if not (found := list_folder(given)):
            raise UserError(f"{given}: no image in it")
        yield from ((file, given) for file in found)
    elif given == "-" or os.path.isfile(given):
        yield given, ""
    elif matches := sorted(glob.glob(given, recursive=True)):
        yield from ((file, "") for file in matches if os.path.isfile(file))
    else:
        raise UserError(f"{given}: no such file or folder, and no pattern that finds one")


def is_made(job: Job) -> bool:
    """Whether its result is there, in any format."""
    endings = (f".{job.encoding.kind}",) if job.encoding else result_extensions()
    return any(job.target.with_name(job.target.name + ending).is_file() for ending in endings)

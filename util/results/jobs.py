"""What translate.py is to translate: files, folders and patterns, and where each result goes."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from util.errors import UserError
from util.images.write import Encoding, result_extensions
from util.results.stems import unique_stems
from util.video import kinds

ListFolder = Callable[[str], list[str]]  # the images and videos below a folder


class Job(NamedTuple):
    """An image, or a video, to translate.

    Args:
        source: the file, or "-" for standard input.
        target: the file to write, without its extension.
        encoding: of an image; None: as the source.
        place: among all.
        ending: of the target, as somebody typed it; empty: as the format has it.
        is_video: all frames are translated, to a video.
    """

    source: str
    target: Path
    encoding: Encoding | None
    place: int
    ending: str = ""
    is_video: bool = False


def jobs_of(
    given: list[str], output: Path, encoding: Encoding | None, list_folder: ListFolder
) -> list[Job]:
    """What there is to do, in order.

    Args:
        given: files, folders and patterns; "-" is standard input.
        output: a file for one image or video, else a folder.
        encoding: of the images that result; None: as the images.

    Raises:
        UserError: an image is not there, or the output is no place for the images.
    """
    jobs = list(_jobs_of(given, output, encoding, list_folder))
    sources = {os.path.realpath(job.source): job.source for job in jobs if job.source != "-"}
    for job in jobs:
        for file in _results_of(job):
            if source := sources.get(os.path.realpath(file)):
                raise UserError(
                    f"-o {output}: {source} is read, and would be written over; give another"
                )
    return jobs


def _jobs_of(
    given: list[str], output: Path, encoding: Encoding | None, list_folder: ListFolder
) -> Iterator[Job]:
    found = [(file, root) for word in given for file, root in _files(word, list_folder)]
    single = len(found) == 1 and not found[0][1] and output.suffix and not output.is_dir()
    if single:
        yield _single(found[0][0], output, encoding)
        return
    if output.exists() and not output.is_dir():
        raise UserError(f"-o {output}: there already, and neither a picture nor a folder")
    ending = output.suffix.lower()
    if ending in result_extensions() or ending in kinds.CONTAINERS or output.is_file():
        raise UserError(f"-o {output}: a file for {len(found)} images; give a folder")
    for root in {root for _, root in found if root}:
        if output.resolve().is_relative_to(Path(root).resolve()):
            raise UserError(
                f"-o {output}: inside {root}, which is read: the next call would translate its "
                "own results; give another folder"
            )
    stem_of = unique_stems(sorted({root for _, root in found if root}))
    for place, (file, _) in enumerate(found):
        target = output / stem_of(file)
        if kinds.is_video(file):
            yield Job(file, target, None, place, kinds.written_as(file), is_video=True)
        else:
            yield Job(file, target, encoding, place)


def _single(file: str, output: Path, encoding: Encoding | None) -> Job:
    """One file to one file: an animated picture is a video where the output can hold one."""
    ending = output.suffix.lower()
    target = output.with_suffix("")
    moves = kinds.is_video(file) or (ending in kinds.CONTAINERS and kinds.count_pictures(file) > 1)
    if not moves and ending in set(kinds.CONTAINERS) - {".webp"}:
        raise UserError(f"-o {output}: a video, and {file} is one picture; give an image's ending")
    if moves:
        kinds.container(output.suffix, f"-o {output}")
        return Job(file, target, None, 0, output.suffix, is_video=True)
    kind = plain_ending(ending).lstrip(".")
    if f".{kind}" not in result_extensions():
        known = " ".join(result_extensions())
        raise UserError(f"-o {output}: no file of {ending} is written; accepted: {known}")
    if encoding is None and kind in ("png", "jpg", "webp"):
        encoding = Encoding.of(kind)
    return Job(file, target, encoding, 0, output.suffix)


def plain_ending(ending: str) -> str:
    """As results have it: of .JPEG .jpg, of .tiff .tif."""
    return ending.lower().replace("jpeg", "jpg").replace("tiff", "tif")


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
    return any(file.is_file() for file in _results_of(job))


def _results_of(job: Job) -> list[Path]:
    """The files that may hold its result."""
    endings = (f".{job.encoding.kind}",) if job.encoding else result_extensions()
    endings = (job.ending,) if job.is_video else (*endings, job.ending)
    return [job.target.with_name(job.target.name + ending) for ending in endings if ending]

"""What translate.py does: from a job to its file."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from util import atomic
from util.errors import UserError, say
from util.images.read import read_bytes
from util.labels.colours import in_colours
from util.results.jobs import Job, plain_ending
from util.video import convert
from util.video.write import Encoding

Translator = Any  # of translate.py


def translate_image(translator: Translator, job: Job) -> Path:
    """Returns: the file that is written."""
    extension, content = translated(translator, job)
    if job.ending and plain_ending(job.ending) != extension:
        raise UserError(
            f"-o {job.target.name}{job.ending}: this result is written as {extension}; give "
            "that ending, or a folder"
        )
    file = job.target.with_name(job.target.name + (job.ending or extension))
    with told(job):
        atomic.write(file, content, durable=False)
    return file


def translated(translator: Translator, job: Job) -> tuple[str, bytes]:
    """The extension of a result, and its content."""
    data = sys.stdin.buffer.read() if job.source == "-" else read_bytes(job.source)
    name = "standard input" if job.source == "-" else job.source
    picture = translator.decode(data, name)
    made = translator.levels(picture, translator.header(data, name), name, job.place)
    return translator.encode(made, data, name, job.encoding)


def translate_video(translator: Translator, job: Job, encoding: Encoding, steady: bool) -> Path:
    """Returns: the file that is written; label maps in it are in colours."""
    if translator.taken_labels:
        raise UserError(
            f"{job.source}: the run takes label maps, and a video's codec keeps no ids; give a "
            "folder of frames, as PNG"
        )
    change = translator
    if translator.made_labels:
        change = functools.partial(_in_colours, translator)
    file = job.target.with_name(job.target.name + job.ending)
    with told(job):
        hold = translator.steady if steady else None
        convert.translate_video(job.source, file, encoding, change, hold)
    return file


def _in_colours(translator: Translator, frame: np.ndarray) -> np.ndarray:
    made = translator.translate(translator.taken(frame).images[0])
    return in_colours(made, translator.made_labels)


def steady_over(translator: Translator, jobs: list[Job]) -> None:
    """Hold the statistics of some images, which are the frames of one video."""
    if chosen := jobs[:: max(1, len(jobs) // convert.STEADY_FRAMES)]:
        frames = [translator.decode(read_bytes(job.source), job.source) for job in chosen]
        say(translator.steady(frames))


@contextlib.contextmanager
def told(job: Job) -> Iterator[None]:
    """With the folder of a job made; what the system refuses is one line."""
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(
            f"{job.target.parent}: cannot be written ({error.strerror}); give another -o"
        ) from None

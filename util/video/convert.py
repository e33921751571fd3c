"""From a video to another of changed frames, in bounded memory: whole, or not there at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from util import atomic
from util.errors import UserError, say
from util.metrics.flicker import Flicker
from util.video.animated import AnimatedReader
from util.video.library import av_library
from util.video.read import Frame, VideoReader
from util.video.write import Encoding, VideoWriter

STEADY_FRAMES = 8  # or up to twice as many, whose statistics hold for all
# From a frame (H, W, 3) uint8 to another of 3 channels or 1, of any size that is the same for all.
Change = Callable[[np.ndarray], np.ndarray]


class Converted(NamedTuple):
    """What was written.

    Args:
        frames: how many.
        flicker: of them; None: sizes have changed, or there is one frame only.
    """

    frames: int
    flicker: Flicker | None


def open_video(path: str, tells: bool = True) -> VideoReader | AnimatedReader:
    """The reader of a video, or of an animated picture.

    Args:
        tells: say what is lost on the way.
    """
    kind = AnimatedReader if path.lower().endswith(".webp") else VideoReader
    return kind(path, tells)


def sample_frames(path: str, count: int) -> list[np.ndarray]:
    """Frames (H, W, 3) uint8 that are spread evenly over a video, its first among them; `count`, or
    up to twice as many, or all that there are. How long it is need not be known: whenever there are
    too many, every second one goes."""
    kept: list[np.ndarray] = []
    step = 1
    with open_video(path, tells=False) as reader:
        for place, frame in enumerate(_frames_of(reader)):
            if place % step == 0:
                kept.append(frame.pixels)
            if len(kept) == 2 * count:
                kept, step = kept[::2], 2 * step
    return kept


def _frames_of(reader: VideoReader | AnimatedReader) -> Iterator[Frame]:
    return (each for each in reader if isinstance(each, Frame))


def translate_video(
    path: str, target: Path, encoding: Encoding, change: Change,
    steady: Callable[[list[np.ndarray]], str] | None = None,
) -> None:  # fmt: skip
    """`convert`, and say how much the result flickers.

    Args:
        steady: is given some of the frames before, and says what it does with them.
    """
    if steady:
        say(f"{path}: {steady(sample_frames(path, STEADY_FRAMES))}")
    done = convert(path, target, encoding, change)
    if done.flicker:
        made, own = done.flicker.changes
        say(
            f"{target}: {done.frames} frames; from one to the next {made:.2f} levels change, in "
            f"the video itself {own:.2f}: flicker {done.flicker.compute():.2f}"
        )


def convert(path: str, target: Path, encoding: Encoding, change: Change) -> Converted:
    """Write a video of changed frames, at the times of the others, with all that lies beside them.

    Args:
        path: of the video.
        target: the file; it appears when it is whole.
        encoding: how it is written.
        change: makes a frame of another.

    Raises:
        BadImage: the video is damaged.
        OSError: the target cannot be written.
        UserError: the encoder or the kind of file does not take it.
    """
    with open_video(path) as reader, atomic.replacing(target) as part:
        writer = VideoWriter(part, encoding, reader, str(target))
        try:
            done = _convert(reader, writer, change)
            writer.close()
            return done
        except av_library().error.FFmpegError as error:
            if isinstance(error, OSError):  # the disk is full
                raise OSError(error.errno, error.strerror, str(target)) from error
            raise UserError(
                f"{target}: {encoding.codec.encoder} in {encoding.container.muxer} does not take "
                f"it ({error.strerror}); give another --codec or ending"
            ) from error
        finally:
            writer.drop()


def _convert(
    reader: VideoReader | AnimatedReader, writer: VideoWriter, change: Change
) -> Converted:
    flicker, place, measured = Flicker(), 0, True
    bar = tqdm(total=reader.count or None, unit="frame", dynamic_ncols=True, disable=None)
    with bar:
        for each in reader:
            if not isinstance(each, Frame):
                writer.copy(each)
                continue
            made = change(each.pixels)
            measured = measured and made.shape[:2] == each.pixels.shape[:2]
            if measured:
                flicker.update(np.broadcast_to(made, each.pixels.shape), each.pixels)
            writer.write(made, each.time, each.duration)
            place += 1
            bar.update()
    return Converted(place, flicker if measured and place > 1 else None)

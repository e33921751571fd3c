"""Which files are videos, and what is written into which: containers, codecs, their qualities.
Nothing here needs the library that reads them."""

from __future__ import annotations

import contextlib
import os
from typing import NamedTuple

from PIL import Image

from util.errors import UserError


class Codec(NamedTuple):
    """How frames are encoded.

    Args:
        encoder: FFmpeg's name.
        pixels: FFmpeg's format of the pixels that it gets.
        crf: usual quality; None: it has none.
        worst: the largest, which is the smallest file.
        even: sides have to be even.
        options: of the encoder.
        aspect: it writes down the shape of a pixel.
    """

    encoder: str
    pixels: str
    crf: int | None
    worst: int
    even: bool
    options: dict[str, str]
    aspect: bool = True


CODECS = {
    "h264": Codec("libx264", "yuv420p", 18, 51, True, {"preset": "medium"}),
    "hevc": Codec("libx265", "yuv420p", 20, 51, True,
                  {"preset": "medium", "x265-params": "log-level=none"}),
    "vp9": Codec("libvpx-vp9", "yuv420p", 24, 63, False,
                 {"b": "0", "row-mt": "1", "cpu-used": "4"}, aspect=False),
    "av1": Codec("libsvtav1", "yuv420p", 24, 63, True, {"preset": "8"}, aspect=False),
    "ffv1": Codec("ffv1", "bgr0", None, 0, False, {"level": "3"}),
    "gif": Codec("gif", "pal8", None, 0, False, {}),
    "webp": Codec("libwebp_anim", "yuv420p", None, 0, False, {"quality": "90"}, aspect=False),
}  # fmt: skip


class Container(NamedTuple):
    """A kind of file.

    Args:
        muxer: FFmpeg's name.
        codecs: that it may hold, the usual one first.
        options: of the muxer.
        keeps_streams: it has room for sound and subtitles.
    """

    muxer: str
    codecs: tuple[str, ...]
    options: dict[str, str]
    keeps_streams: bool = True


# The index at the front: players begin before all is there.
FAST_START = {"movflags": "+faststart"}
CONTAINERS = {
    ".mp4": Container("mp4", ("h264", "hevc", "av1", "vp9"), FAST_START),
    ".m4v": Container("mp4", ("h264", "hevc"), FAST_START),
    ".mov": Container("mov", ("h264", "hevc"), FAST_START),
    ".mkv": Container("matroska", ("h264", "hevc", "vp9", "av1", "ffv1"), {}),
    ".webm": Container("webm", ("vp9", "av1"), {}),
    ".gif": Container("gif", ("gif",), {}, keeps_streams=False),
    ".webp": Container("webp", ("webp",), {"loop": "0"}, keeps_streams=False),
}
# Always taken for videos; animated pictures are where a video is wanted of them.
ENDINGS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts",
           ".wmv", ".flv", ".3gp", ".ogv", ".mxf", ".y4m")  # fmt: skip
ANIMATED = (".gif", ".webp", ".png", ".apng")


def is_video(path: str) -> bool:
    """By its ending."""
    return os.path.splitext(path)[1].lower() in ENDINGS


def count_pictures(path: str) -> int:
    """Of an animated picture; 1 of anything else, and of what cannot be read."""
    if os.path.splitext(path)[1].lower() in ANIMATED:
        unreadable = OSError, ValueError, SyntaxError, Image.DecompressionBombError
        with contextlib.suppress(*unreadable), Image.open(path) as image:
            return getattr(image, "n_frames", 1)
    return 1


def written_as(path: str) -> str:
    """The ending of a video that another becomes in a folder of results: its own, or .mp4."""
    ending = os.path.splitext(path)[1].lower()
    return ending if ending in CONTAINERS else ".mp4"


def container(ending: str, given: str) -> Container:
    """The container of a file's ending.

    Args:
        given: what somebody gave, for the message.

    Raises:
        UserError: there is none that is written.
    """
    if found := CONTAINERS.get(ending.lower()):
        return found
    raise UserError(f"{given}: not written as a video; accepted: {', '.join(CONTAINERS)}")


def check_codec(codec: str, crf: int | None, ending: str) -> tuple[Codec, int | None]:
    """(how frames are encoded, their quality) for a file with this ending.

    Args:
        codec: a name of CODECS, or "auto".
        crf: a quality; None: the codec's usual one.

    Raises:
        UserError: the container does not hold it, or it has no such quality.
    """
    held = CONTAINERS[ending.lower()].codecs
    name = held[0] if codec == "auto" else codec
    if name not in held:
        raise UserError(f"--codec {codec}: {ending} holds {', '.join(held)}; give one, or .mkv")
    chosen = CODECS[name]
    if crf is not None and chosen.crf is None:
        raise UserError(f"--crf {crf}: {name} ({ending}) has no such quality; leave it out")
    if crf is not None and crf > chosen.worst:
        raise UserError(f"--crf {crf}: of {name} from 0 (best) to {chosen.worst}")
    return chosen, chosen.crf if crf is None else crf

"""PyAV, the library that reads and writes videos, where somebody has installed it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import ModuleType

from util.errors import BadImage, UserError

REMEDY = "replace it, or repair it: ffmpeg -i IN -c copy OUT"


def av_library() -> ModuleType:
    """The package.

    Raises:
        UserError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise UserError(
            f"videos are read by PyAV, which is not here ({error}): python -m pip install -r "
            "requirements-video.txt"
        ) from None
    return av


@contextlib.contextmanager
def damage_told(path: str, where: str = "") -> Iterator[None]:
    """What FFmpeg does not take is told in one line.

    Args:
        where: in the video that is, e.g. "at 3.2 s".

    Raises:
        BadImage: the file is damaged, or no video.
    """
    try:
        yield
    except av_library().error.FFmpegError as error:
        what = f"damaged {where}" if where else "cannot be read as a video"
        reason = getattr(error, "strerror", None) or str(error)
        raise BadImage(path, f"{what} ({reason})", REMEDY) from error

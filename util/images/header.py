"""What an image file holds, as far as can be told without decoding its pixels."""

import contextlib
import contextvars
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image

from util.atomic import not_regular
from util.errors import BadImage
from util.images.formats import format_of, how_to_convert

MAX_PIXELS = 178_000_000  # of one image; beyond, a small file may unpack to all of the memory
MAX_BYTES = 1 << 30  # of its values, for more than three channels and deeper ones
_allowed = contextvars.ContextVar("allowed", default=MAX_PIXELS)  # px, in this thread
SMALLEST_PX = 4  # side of an image that networks can do something with
START = 16  # bytes that tell the format
ORIENTATION = 0x0112  # EXIF and TIFF tag


@dataclass(frozen=True)
class Header:
    """Args:
    size: (width, height) px, upright.
    channels: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha, or of a multi-channel file.
    dtype: numpy's name of a value's type.
    kind: of its format (see util/images/formats.py), or what Pillow calls it.
    alpha: the last channel is opacity.
    turned: the EXIF orientation, 1 for upright.
    deep: it is decoded to an array of its own type; else it has 8 bits a value.
    channels_first: the array in the file is (C, H, W).
    mode: Pillow's name for it, where Pillow reads it.
    """

    size: tuple[int, int]
    channels: int
    dtype: str = "uint8"
    kind: str = "png"
    alpha: bool = False
    turned: int = 1
    deep: bool = False
    channels_first: bool = False
    mode: str = ""

    @property
    def own_channels(self) -> int:
        """Without alpha if the rest is grey or colour."""
        colours = self.channels - 1 if self.alpha else self.channels
        return colours if colours in (1, 3) else self.channels

    def gives(self, channels: int) -> bool:
        """Whether `read_picture` can make so many channels of it."""
        colours = self.channels - 1 if self.alpha else self.channels
        return self.channels == channels or (channels in (1, 3) and colours in (1, 3))

    def describe(self) -> str:
        """E.g. `640x480 px, 3 x uint8`."""
        return f"{self.size[0]}x{self.size[1]} px, {self.channels} x {self.dtype}"


@contextlib.contextmanager
def allowing(pixels: int) -> Iterator[None]:
    """Within, images of so many px are decoded, if that is more than usual: who has asked for it
    knows his files."""
    token = _allowed.set(max(pixels, MAX_PIXELS))
    try:
        yield
    finally:
        _allowed.reset(token)


def is_allowed(pixels: int, size: int = 0) -> bool:
    """Whether an image of so many px, and so many bytes when it is decoded, may be decoded."""
    return pixels <= _allowed.get() and size <= MAX_BYTES * _allowed.get() / MAX_PIXELS


def read_header(path: str, data: bytes | None = None) -> Header:
    """The header of a file, or of `data` that was read from it.

    Raises:
        BadImage: it is no image, too small or too large.
        OSError: it could not be read at all (with an errno).
    """
    if data is None and (kind := not_regular(path)):
        raise BadImage(path, kind)
    with contextlib.ExitStack() as stack:
        file = io.BytesIO(data) if data is not None else stack.enter_context(open(path, "rb"))
        start = file.read(START)
        if not start:
            raise BadImage(path, "an empty file")
        file.seek(0)
        try:
            header = format_of(path, start).header(file)
        except Image.DecompressionBombError as error:
            raise _too_large(path, str(error)) from None
        except Exception as error:  # decoders raise anything over damaged bytes
            if isinstance(error, MemoryError) or getattr(error, "errno", None):
                raise
            other = how_to_convert(os.path.splitext(path)[1].lower())
            why = f"cannot be read as an image ({_reason(file, error)})"
            raise BadImage(path, why + other) from error
    width, height = header.size
    size = width * height * header.channels * np.dtype(header.dtype).itemsize
    if not is_allowed(width * height, size):
        raise _too_large(path, header.describe())
    if min(header.size) < SMALLEST_PX:
        raise BadImage(path, f"{width}x{height} px is too small; accepted: sides of 4 px and more")
    return header


def looks_cut_off(path: str) -> bool:
    """Whether a file ends before the end mark of its format (or with something behind it)."""
    if not_regular(path):
        return False  # `read_header` tells
    with open(path, "rb") as file:
        start = file.read(START)
        file.seek(-min(12, os.fstat(file.fileno()).st_size), os.SEEK_END)
        return format_of(path, start).is_cut_off(file.read())


class TooLarge(BadImage):
    """A file that would unpack to more than is decoded."""


def _too_large(path: str, size: str) -> TooLarge:
    most = _allowed.get()
    room = f"{MAX_BYTES / 2**30 * most / MAX_PIXELS:.3g} GiB"
    limit = f"more than {most // 10**6} million pixels, or {room}, are not decoded"
    remedy = "scale the image down, cut it into tiles, or translate.py --max_megapixels N"
    return TooLarge(path, f"{size}: {limit}", remedy)


def _reason(file: BinaryIO, error: Exception) -> str:
    file.seek(0)
    start = file.read(256).lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "it is an HTML page"
    if isinstance(error, Image.UnidentifiedImageError):
        return "its bytes are of no known format"
    return " ".join(str(error).split()) or type(error).__name__

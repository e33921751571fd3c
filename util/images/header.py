"""What an image file holds, as far as can be told without decoding its pixels."""

import contextlib
import io
import logging
import math
import os
import struct
import warnings
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import tifffile
from PIL import Image

from util.errors import BadImage

for _name in ("PIL.TiffImagePlugin", "tifffile"):  # what is wrong is told by our errors
    logging.getLogger(_name).setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # ours is stricter

MAX_PIXELS = 178_000_000  # of one image; beyond, a small file may unpack to all of the memory
MAX_BYTES = 1 << 30  # of its values, for more than three channels and deeper ones
MAX_TIFF_PAGES = 10_000
SMALLEST_PX = 4  # side of an image that networks can do something with
ORIENTATION = 0x0112  # EXIF and TIFF tag
TIFF_COLOURS = (0, 1, 2)  # grey with white or black as 0, and RGB
TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
CHANNELS = {"1": 1, "L": 1, "LA": 2, "La": 2, "PA": 4, "RGBA": 4, "RGBa": 4}  # else 3


@dataclass(frozen=True)
class Header:
    """Args:
    size: (width, height) px, upright.
    channels: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha, or of a multi-channel file.
    dtype: numpy's name of a value's type.
    kind: "jpeg", "png", "tiff", "npy", or what Pillow calls it.
    alpha: the last channel is opacity.
    turned: the EXIF orientation, 1 for upright.
    deep: Pillow would cut values or channels; arrays are read instead.
    channels_first: an array is (C, H, W).
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

    def gives(self, channels: int) -> bool:
        """Whether `read_picture` can make so many channels of it."""
        colours = self.channels - 1 if self.alpha else self.channels
        return self.channels == channels or (channels in (1, 3) and colours in (1, 3))

    def describe(self) -> str:
        """E.g. `640x480 px, 3 x uint8`."""
        return f"{self.size[0]}x{self.size[1]} px, {self.channels} x {self.dtype}"


def read_header(path: str, data: bytes | None = None) -> Header:
    """The header of a file, or of `data` that was read from it.

    Raises:
        BadImage: it is no image, too small or too large.
        OSError: it could not be read at all (with an errno).
    """
    with contextlib.ExitStack() as stack:
        file = io.BytesIO(data) if data is not None else stack.enter_context(open(path, "rb"))
        if not file.read(1):
            raise BadImage(path, "an empty file")
        file.seek(0)
        try:
            header = _npy_header(file) if path.lower().endswith(".npy") else _image_header(file)
        except Image.DecompressionBombError as error:
            raise _too_large(path, str(error)) from None
        except Exception as error:  # decoders raise anything over damaged bytes
            if isinstance(error, MemoryError) or getattr(error, "errno", None):
                raise
            raise BadImage(path, f"cannot be read as an image ({_reason(file, error)})") from error
    width, height = header.size
    size = width * height * header.channels * np.dtype(header.dtype).itemsize
    if width * height > MAX_PIXELS or size > MAX_BYTES:
        raise _too_large(path, header.describe())
    if min(header.size) < SMALLEST_PX:
        raise BadImage(path, f"{width}x{height} px is too small; accepted: sides of 4 px and more")
    return header


def looks_cut_off(path: str) -> bool:
    """Whether a JPEG or PNG file ends before its end mark (or with something behind it)."""
    with open(path, "rb") as file:
        start = file.read(4)
        file.seek(-min(12, os.fstat(file.fileno()).st_size), os.SEEK_END)
        end = file.read()
    if start.startswith(b"\xff\xd8"):
        return not end.endswith(b"\xff\xd9")
    return start == b"\x89PNG" and b"IEND" not in end


def _too_large(path: str, size: str) -> BadImage:
    limit = f"more than {MAX_PIXELS // 10**6} million pixels, or 1 GiB, are not decoded"
    return BadImage(path, f"{size}: {limit}", "scale the image down, or cut it into tiles")


def _reason(file: BinaryIO, error: Exception) -> str:
    file.seek(0)
    start = file.read(256).lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "it is an HTML page"
    if isinstance(error, Image.UnidentifiedImageError):
        return "its bytes are of no known format"
    return " ".join(str(error).split()) or type(error).__name__


def _npy_header(file: BinaryIO) -> Header:
    version = np.lib.format.read_magic(file)
    reader = getattr(np.lib.format, f"read_array_header_{min(version[0], 2)}_0")
    shape, _, dtype = reader(file)
    if dtype.kind not in "buif":
        raise ValueError(f"an array of {dtype}; accepted: integers and floats")
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise ValueError(f"an array {shape}; accepted: (H, W), (H, W, C) or (C, H, W)")
    begin = file.tell()
    held = file.seek(0, os.SEEK_END) - begin
    if held < math.prod(shape) * dtype.itemsize:
        raise ValueError("the file is truncated")
    first = len(shape) == 3 and shape[0] < shape[2]
    height, width, channels = (*shape[1:], shape[0]) if first else (*shape, 1)[:3]
    return Header((width, height), channels, dtype.name, "npy", deep=True, channels_first=first)


def _image_header(file: BinaryIO) -> Header:
    tiff = file.read(4) in TIFF_MAGIC
    file.seek(0)
    try:
        with Image.open(file) as image:
            if not (_tiff_is_deep(image) if tiff else _cuts(image)):
                _check_length(image, file)
                return _pillow_header(image)
            if not tiff:
                return _deep_header(image)
    except (OSError, ValueError, SyntaxError):
        if not tiff:
            raise
    file.seek(0)
    return _tiff_header(file)


def _pillow_header(image: Image.Image) -> Header:
    # PNG's own method would load the pixels; a TIFF is turned by Pillow itself.
    turned = 1 if image.format == "TIFF" else Image.Image.getexif(image).get(ORIENTATION, 1)
    channels = CHANNELS.get(image.mode, 3)
    alpha = image.has_transparency_data
    if alpha and channels % 2:
        channels += 1
    size = image.size[::-1] if turned in (5, 6, 7, 8) else image.size
    kind = "jpeg" if image.format in ("JPEG", "MPO") else image.format.lower()
    return Header(size, channels, "uint8", kind, alpha, turned, mode=image.mode)


def _deep_header(image: Image.Image) -> Header:
    """Of a 16-bit PNG or PGM."""
    plain = _pillow_header(image)
    if image.format == "PPM" and image.mode != "I":
        raise ValueError("16-bit colour in PPM is not read; convert it to PNG or TIFF")
    # Pillow's mode for 16-bit grey with alpha is RGBA; its raw mode is LA;16B.
    channels = {"LA": 2, "RGB": 3, "RGBA": 4}.get(_words(image)[0].partition(";")[0], 1)
    if channels in (1, 3) and "transparency" in image.info:
        channels += 1  # one level of colour stands for nothing
    alpha = channels in (2, 4)
    return Header(plain.size, channels, "uint16", plain.kind, alpha, plain.turned, deep=True)


def _cuts(image: Image.Image) -> bool:
    """Whether Pillow reads less than the file holds: 16 bits as 8, or in a mode of its own."""
    words = _words(image)
    deep_ppm = image.format == "PPM" and words[1:] and words[1].isdigit() and int(words[1]) > 255
    return image.mode[0] in "IF" or any(";16" in word for word in words) or bool(deep_ppm)


def _tiff_is_deep(image: Image.Image) -> bool:
    """Whether a TIFF has more pages, bits or samples than Pillow's mode for it."""
    tags = image.tag_v2
    bits, formats = (tags.get(tag, (1,)) for tag in (258, 339))
    samples = tags.get(277, 1)
    whole = {"P": 1, "CMYK": 4, "YCbCr": 3}.get(image.mode, len(image.getbands()))
    odd = max(bits) > 8 or set(formats) != {1} or samples != whole
    return odd or getattr(image, "n_frames", 1) > 1


def _check_length(image: Image.Image, file: BinaryIO) -> None:
    """Raise ValueError if a file that is not compressed, or a TIFF, ends too early."""
    place = file.tell()
    length = file.seek(0, os.SEEK_END)
    file.seek(place)
    if image.format == "TIFF":
        tags = image.tag_v2
        parts = zip(
            tags.get(273, tags.get(324, ())), tags.get(279, tags.get(325, ())), strict=False
        )
        needed = max((offset + count for offset, count in parts), default=0)
    elif image.format in ("BMP", "PPM") and image.tile and image.tile[0].codec_name == "raw":
        bits = 1 if image.mode == "1" else 8 * len(image.getbands())
        needed = image.tile[0].offset + image.width * image.height * bits // 8
    else:
        return
    if length < needed:
        raise ValueError("the file is truncated")


def _words(image: Image.Image) -> list[str]:
    """How Pillow is going to decode: the file's raw mode, and more."""
    how = image.tile[0].args if image.tile else ()
    return [how] if isinstance(how, str) else [str(word) for word in how or ()]


def _tiff_header(file: BinaryIO) -> Header:
    _check_pages(file)
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        series = tiff.series[0]
        page = series.keyframe
        parts = zip(page.dataoffsets, page.databytecounts, strict=False)
        if length < max((offset + count for offset, count in parts), default=0):
            raise ValueError("the file is truncated")
        if series.dtype is None or series.dtype.kind not in "buif":
            raise ValueError(f"values of type {series.dtype}; accepted: integers and floats")
        if page.photometric not in TIFF_COLOURS:
            kind = getattr(page.photometric, "name", page.photometric)
            raise ValueError(f"{kind} of several pages or more than 8 bits; convert to grey or RGB")
        sizes = [(axis, n) for axis, n in zip(series.axes, series.shape, strict=True) if n > 1]
        axes, shape = "".join(axis for axis, _ in sizes), tuple(n for _, n in sizes)
        others = axes.replace("Y", "").replace("X", "")
        if "YX" not in axes or len(others) > 1:
            raise ValueError(f"a TIFF of shape {shape} ({axes}); accepted: one image of channels")
        first = bool(others) and axes[0] == others
        if others == "Q" and shape[0] > shape[2]:  # an array (H, W, C), written without a word
            first = False
        height, width, channels = (*shape[1:], shape[0]) if first else (*shape, 1)[:3]
        turned = page.tags.valueof(ORIENTATION, default=1)
        return Header(
            size=(height, width) if turned in (5, 6, 7, 8) else (width, height),
            channels=channels,
            dtype=series.dtype.name,
            kind="tiff",
            alpha=others == "S" and page.extrasamples[-1:] in [(1,), (2,)],
            turned=turned,
            deep=True,
            channels_first=first,
        )


def _check_pages(file: BinaryIO) -> None:
    """Raise ValueError for a chain of pages that does not end: readers would follow it for ever."""
    sign = "<" if file.read(2) == b"II" else ">"
    big = _number(file, f"{sign}H") == 43
    count_as, entry, offset_as = ("Q", 20, "Q") if big else ("H", 12, "I")
    file.seek(8 if big else 4)
    seen: set[int] = set()
    while place := _number(file, sign + offset_as):
        if place in seen or len(seen) >= MAX_TIFF_PAGES:
            raise ValueError("its pages lead to each other without end")
        seen.add(place)
        file.seek(place)
        file.seek(_number(file, sign + count_as) * entry, os.SEEK_CUR)
    file.seek(0)


def _number(file: BinaryIO, kind: str) -> int:
    data = file.read(struct.calcsize(kind))
    return struct.unpack(kind, data)[0] if len(data) == struct.calcsize(kind) else 0

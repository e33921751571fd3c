"""TIFF, of any depth and number of channels: planes or pages of one size are channels."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import struct
import threading
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import tifffile
from PIL import Image, TiffImagePlugin

from util.images.header import ORIENTATION, Header
from util.images.pillow_format import DirectFormat, pillow_header, refuse_shorter

MAX_PAGES = 10_000
COLOURS = (0, 1, 2)  # grey with white or black as 0, and RGB


class TiffFormat(DirectFormat):
    """By Pillow where its modes hold the file whole, else by tifffile."""

    kind = "tiff"
    extensions = (".tif", ".tiff")
    signatures = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    pillow_class = TiffImagePlugin.TiffImageFile
    written = ".tif"

    def header(self, file: BinaryIO) -> Header:
        """Pillow's if it suffices."""
        with _quiet():
            try:
                with self.opened(file) as image:
                    if not _is_deep(image):
                        refuse_shorter(file, _end_of_parts(image))
                        return pillow_header(image)
            except (OSError, ValueError, SyntaxError):
                pass  # tifffile tells what is wrong, or reads it
            file.seek(0)
            return _tiff_header(file)

    def decode(
        self, data: bytes, header: Header, min_size: tuple[int, int] | None = None
    ) -> np.ndarray | Image.Image:
        """A PIL image, which Pillow has turned; of a deep file (H, W, C)."""
        with _quiet():
            if not header.deep:
                return super().decode(data, header)
            values = _values(data)
            return np.moveaxis(values, 0, -1) if header.channels_first else values

    def encode(self, values: np.ndarray, header: Header) -> bytes:
        """Packed without loss; the last of two or four channels is alpha if it was."""
        channels = values.shape[-1]
        colours = channels - 1 if header.alpha and channels in (2, 4) else channels
        content = io.BytesIO()
        tifffile.imwrite(
            content,
            values[..., 0] if channels == 1 else values,
            photometric="rgb" if colours == 3 else "minisblack",
            planarconfig=None if channels == 1 else "contig",
            extrasamples=["unassalpha"] if colours < channels else None,
            compression="zlib",
        )
        return content.getvalue()


_reading = threading.local()


def _is_of_others(record: logging.LogRecord) -> bool:
    """A filter of what the libraries log while we read: our errors tell what is wrong."""
    return not getattr(_reading, "now", False)


for _name in ("PIL.TiffImagePlugin", "tifffile"):
    logging.getLogger(_name).addFilter(_is_of_others)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    _reading.now = True
    try:
        yield
    finally:
        _reading.now = False


def _is_deep(image: Image.Image) -> bool:
    """Whether a file has more pages, bits or samples than Pillow's mode for it."""
    tags = image.tag_v2
    bits, formats = (tags.get(tag, (1,)) for tag in (258, 339))
    samples = tags.get(277, 1)
    whole = {"P": 1, "CMYK": 4, "YCbCr": 3}.get(image.mode, len(image.getbands()))
    odd = max(bits) > 8 or set(formats) != {1} or samples != whole
    return odd or getattr(image, "n_frames", 1) > 1


def _end_of_parts(image: Image.Image) -> int:
    """Bytes that a file has to have for all its strips or tiles."""
    tags = image.tag_v2
    parts = zip(tags.get(273, tags.get(324, ())), tags.get(279, tags.get(325, ())), strict=False)
    return max((offset + count for offset, count in parts), default=0)


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
        if page.photometric not in COLOURS:
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
        if place in seen or len(seen) >= MAX_PAGES:
            raise ValueError("its pages lead to each other without end")
        seen.add(place)
        file.seek(place)
        file.seek(_number(file, sign + count_as) * entry, os.SEEK_CUR)
    file.seek(0)


def _number(file: BinaryIO, kind: str) -> int:
    data = file.read(struct.calcsize(kind))
    return struct.unpack(kind, data)[0] if len(data) == struct.calcsize(kind) else 0


def _values(data: bytes) -> np.ndarray:
    """As stored, without axes of length 1."""
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        series = tiff.series[0]
        values, page = series.asarray().squeeze(), series.keyframe
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and values.dtype.kind in "bu":
            values = ~values
        if page.extrasamples[-1:] == (1,) and values.dtype.kind in "uf":
            values = _unmultiplied(values)
    return values


def _unmultiplied(values: np.ndarray) -> np.ndarray:
    """Colours (H, W, C + 1) that were stored times their alpha, the last channel, without it."""
    alpha = values[..., -1:].astype(np.float64)
    top = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1
    colours = values[..., :-1] * (top / np.maximum(alpha, top * 1e-9))
    colours = colours.round().clip(0, top) if values.dtype.kind == "u" else colours
    return np.concatenate([colours.astype(values.dtype), values[..., -1:]], axis=-1)

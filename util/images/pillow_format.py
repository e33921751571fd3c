"""What Pillow reads: the formats that need no more, and the base of those that it reads in part."""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import struct
from collections.abc import Callable
from typing import BinaryIO

import numpy as np
from PIL import BmpImagePlugin, Image, PpmImagePlugin, WebPImagePlugin, features

from util.errors import warn
from util.images.formats import Format
from util.images.header import ORIENTATION, Header, is_allowed

CHANNELS = {"1": 1, "L": 1, "LA": 2, "La": 2, "PA": 4, "RGBA": 4, "RGBa": 4}  # else 3
# What Pillow's classes raise over bytes that are of another format.
NOT_OF_IT = (SyntaxError, IndexError, TypeError, struct.error)


SETTINGS_WITHIN = 1 << 16  # bytes of an AVIF file's beginning
HEIF = importlib.util.find_spec("pillow_heif") is not None  # a package that adds it to Pillow
_said: set[str] = set()  # once is enough


class PillowFormat(Format):
    """Any format that Pillow finds out for itself; of an animation the first frame is read."""

    kind = "pillow"
    extensions = (
        ".gif",
        *([".avif"] if features.check("avif") else []),
        *([".heic", ".heif", ".hif"] if HEIF else []),
    )

    def opened(self, file: BinaryIO) -> Image.Image:
        """Pillow's image of a file, not decoded yet."""
        if HEIF:
            importlib.import_module("pillow_heif").register_heif_opener()
        return Image.open(file)

    def header(self, file: BinaryIO) -> Header:
        """Pillow's, and what its mode leaves out."""
        with self.opened(file) as image:
            if image.format in ("GIF", "AVIF") and image.is_animated:
                _say_once("frames", f"{image.format} with several frames: the first is read; so it "
                          "is with others")  # fmt: skip
            if image.format == "AVIF" and _is_deep_avif(file):
                _say_once("depth", "AVIF with 10 or 12 bits a value: 8 of them are read, here and "
                          "in others; to keep all: avifdec --depth 16 x.avif x.png")  # fmt: skip
            if self.cuts(image):
                return self.deep_header(image)
            self.check_length(image, file)
            return pillow_header(image)

    def decode(
        self, data: bytes, header: Header, min_size: tuple[int, int] | None = None
    ) -> np.ndarray | Image.Image:
        """As Pillow does, of deep values an array."""
        with self.opened(io.BytesIO(data)) as image:
            image.load()
            image.getexif()  # of a TIFF it can be read as long as the file is open
            return np.asarray(image).astype(header.dtype) if header.deep else image

    def cuts(self, image: Image.Image) -> bool:
        """Whether Pillow reads less than the file holds: 16 bits as 8, or in a mode of its own."""
        return image.mode[0] in "IF" or any(";16" in word for word in raw_words(image))

    def deep_header(self, image: Image.Image) -> Header:
        """Of a file with 16 bits a value."""
        plain = pillow_header(image)
        # Pillow's mode for 16-bit grey with alpha is RGBA; its raw mode is LA;16B.
        word = raw_words(image)[0].partition(";")[0]
        channels = {"LA": 2, "RGB": 3, "RGBA": 4}.get(word, 1)
        if channels in (1, 3) and "transparency" in image.info:
            channels += 1  # one level of colour stands for nothing
        alpha = channels in (2, 4)
        return Header(plain.size, channels, "uint16", plain.kind, alpha, plain.turned, deep=True)

    def check_length(self, image: Image.Image, file: BinaryIO) -> None:
        """Raise ValueError if a file that is not compressed ends too early."""


def _say_once(what: str, message: str) -> None:
    if what not in _said:
        _said.add(what)
        warn(message)


def _is_deep_avif(file: BinaryIO) -> bool:
    """Whether the settings of its AV1 stream, the box av1C, say high_bitdepth; Pillow does not."""
    place = file.tell()
    file.seek(0)
    settings = file.read(SETTINGS_WITHIN).partition(b"av1C")[2]
    file.seek(place)
    return len(settings) > 2 and bool(settings[2] & 0x40)


class DirectFormat(PillowFormat):
    """One whose class in Pillow is known: nothing is tried out, and Pillow's warning of large
    images, which would have to be turned off for the whole process, does not come up."""

    pillow_class: Callable[[BinaryIO], Image.Image]

    def opened(self, file: BinaryIO) -> Image.Image:
        """The image, or the errors that Pillow raises for what is none, or too large."""
        try:
            image = type(self).pillow_class(file)
        except NOT_OF_IT as error:
            raise Image.UnidentifiedImageError(f"not of kind {self.kind}") from error
        if not is_allowed(image.width * image.height):
            raise Image.DecompressionBombError(f"{image.width}x{image.height} px")
        return image


class BmpFormat(DirectFormat):
    """Windows bitmaps."""

    kind = "bmp"
    extensions = (".bmp",)
    signatures = (b"BM",)
    pillow_class = BmpImagePlugin.BmpImageFile

    def check_length(self, image: Image.Image, file: BinaryIO) -> None:
        """By the size of the raw pixels."""
        check_raw_length(image, file)


class NetpbmFormat(DirectFormat):
    """PBM, PGM and PPM, plain and raw."""

    kind = "ppm"
    extensions = (".ppm", ".pgm", ".pbm", ".pnm")
    signatures = (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6")
    pillow_class = PpmImagePlugin.PpmImageFile

    def cuts(self, image: Image.Image) -> bool:
        """Also by the greatest value that the file names."""
        words = raw_words(image)
        deep = words[1:] and words[1].isdigit() and int(words[1]) > 255
        return bool(deep) or super().cuts(image)

    def deep_header(self, image: Image.Image) -> Header:
        """Of grey."""
        if image.mode != "I":
            raise ValueError("16-bit colour in PPM is not read; convert it to PNG or TIFF")
        return super().deep_header(image)

    def check_length(self, image: Image.Image, file: BinaryIO) -> None:
        """By the size of the raw pixels."""
        check_raw_length(image, file)


class WebpFormat(DirectFormat):
    """WebP, with losses and without."""

    kind = "webp"
    extensions = (".webp",)
    signatures = (b"RIFF",)
    pillow_class = WebPImagePlugin.WebPImageFile

    def knows(self, start: bytes) -> bool:
        """RIFF holds sounds and films as well."""
        return super().knows(start) and start[8:12] == b"WEBP"


def pillow_header(image: Image.Image) -> Header:
    """What Pillow's mode and its notes tell of an image with 8 bits a value."""
    # PNG's own method would load the pixels; a TIFF is turned by Pillow itself.
    turned = 1 if image.format == "TIFF" else Image.Image.getexif(image).get(ORIENTATION, 1)
    channels = CHANNELS.get(image.mode, 3)
    alpha = image.has_transparency_data
    if alpha and channels % 2:
        channels += 1
    size = image.size[::-1] if turned in (5, 6, 7, 8) else image.size
    kind = "jpeg" if image.format in ("JPEG", "MPO") else image.format.lower()
    return Header(size, channels, "uint8", kind, alpha, turned, mode=image.mode)


def raw_words(image: Image.Image) -> list[str]:
    """How Pillow is going to decode: the file's raw mode, and more."""
    how = image.tile[0].args if image.tile else ()
    return [how] if isinstance(how, str) else [str(word) for word in how or ()]


def check_raw_length(image: Image.Image, file: BinaryIO) -> None:
    """Raise ValueError if a file ends before the pixels that it holds as they are."""
    if image.tile and image.tile[0].codec_name == "raw":
        bits = 1 if image.mode == "1" else 8 * len(image.getbands())
        refuse_shorter(file, image.tile[0].offset + image.width * image.height * bits // 8)


def refuse_shorter(file: BinaryIO, needed: int) -> None:
    """Raise ValueError if a file has fewer bytes; its position stays."""
    place = file.tell()
    length = file.seek(0, os.SEEK_END)
    file.seek(place)
    if length < needed:
        raise ValueError("the file is truncated")

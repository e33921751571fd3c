"""The formats of image files that are read and written: found by file name, one class each."""

from __future__ import annotations

import functools
import importlib
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image

from util.errors import UserError, warn
from util.registry import Registry

if TYPE_CHECKING:
    from util.images.header import Header

BUILT_IN = ("jpeg", "png", "pillow", "tiff", "npy")  # in the order in which they are asked

# What is no image here: kind of its files -> their extensions, and how to make images of them.
OTHERS = {
    "DICOM": (".dcm .dicom .ima", "by pydicom and numpy.save to .npy, with --value_range LOW HIGH"),
    "NIfTI": (".nii .nii.gz", "by nibabel and numpy.save, a slice an .npy, with --value_range"),
    "volumes": (".mha .mhd .nrrd", "by SimpleITK and numpy.save, a slice an .npy"),
    "OpenEXR": (".exr", "oiiotool x.exr -o x.tif, with --value_range LOW HIGH"),
    "high dynamic range": (".hdr .pfm", "oiiotool x.hdr -o x.tif, with --value_range LOW HIGH"),
    "HEIC": (".heic .heif .hif", "heif-convert x.heic x.png, or pip install pillow-heif"),
    "AVIF": (".avif .avifs", "avifdec x.avif x.png"),
    "JPEG XL": (".jxl", "djxl x.jxl x.png"),
    "video": (".mp4 .mov .avi .mkv .webm .m4v .mpg .mpeg .wmv", "ffmpeg -i x.mp4 %06d.png"),
    "camera raw": (".cr2 .cr3 .nef .arw .dng .raf .orf .rw2", "dcraw -T x.nef, to TIFF"),
    "drawings": (".svg .eps .ai .pdf .ps", "magick -density 300 x.pdf x.png"),
    "layered pictures": (".psd .xcf .kra", "magick x.psd -flatten x.png"),
    "arrays": (".npz .mat .h5 .hdf5 .pt .pth .pkl", "each image by numpy.save to an .npy"),
    "tables of images": (".parquet .arrow", "none needed: --dataset_mode huggingface reads them"),
    "records": (".tfrecord .lmdb .mdb", "write each image as a .png"),
    "archives": (".zip .tar .gz .tgz .7z .rar .bz2 .xz .zst", "unpack them first"),
    "pictures": (
        ".ico .tga .pcx .dds .sgi .ras .jp2 .j2k .jpx .qoi .xbm .xpm .icns .wmf .emf",
        "magick x.tga x.png",
    ),
}


class Format(ABC):
    """Extend this in util/images/<name>_format.py; see docs/formats.md.

    A file's first bytes decide which format it is read in, before its name does.
    """

    kind = ""  # its name, which `header` puts into `Header.kind`
    extensions: tuple[str, ...] = ()  # of its files, in lower case, with the dot
    signatures: tuple[bytes, ...] = ()  # how its files begin; none: the extension decides
    written = ""  # extension of results that come out in this format; none: as PNG or TIFF

    def knows(self, start: bytes) -> bool:
        """Whether a file that begins so (16 bytes or more, if it has them) is of this format."""
        return start.startswith(self.signatures)

    @abstractmethod
    def header(self, file: BinaryIO) -> Header:
        """What a file holds, without decoding its pixels.

        Raises:
            Exception: any one; its text becomes the reason why the file cannot be read.
        """

    @abstractmethod
    def decode(
        self, data: bytes, header: Header, min_size: tuple[int, int] | None = None
    ) -> np.ndarray | Image.Image:
        """The image as it is stored, not yet turned upright.

        Args:
            data: the file's bytes.
            min_size: (width, height) px that are enough, if a smaller image is decoded faster.

        Returns: (H, W, C) of the header's type; where the header is not deep it may also be a PIL
            image.

        Raises:
            Exception: as `header`.
        """

    def encode(self, values: np.ndarray, header: Header) -> bytes:
        """A file, for formats with `written`.

        Args:
            values: (H, W, C) of the header's type.
            header: of the file that gives the result its depth.
        """
        raise NotImplementedError(f"{type(self).__name__} writes no files")

    def is_cut_off(self, end: bytes) -> bool:
        """Whether a file whose last 12 bytes these are looks as if a part of it were missing."""
        return False


@functools.cache
def formats() -> dict[str, Format]:
    """Kind -> format, of all files util/images/<name>_format.py.

    Raises:
        UserError: a file without a format in it.
    """
    names = Registry("util.images", "format", base="util.images.formats:Format").names()
    found = {}
    for name in [*BUILT_IN, *(name for name in names if name not in BUILT_IN)]:
        try:
            module = importlib.import_module(f"util.images.{name}_format")
        except Exception as error:  # of a file that somebody has put there: anything
            if name in BUILT_IN:
                raise
            warn(f"util/images/{name}_format.py cannot be used: {type(error).__name__}: {error}")
            continue
        own = [
            kind
            for kind in vars(module).values()
            if isinstance(kind, type) and issubclass(kind, Format) and vars(kind).get("kind")
            if kind.__module__ == module.__name__
        ]
        if not own:
            raise UserError(
                f"{module.__file__}: no format in it; write a class that extends "
                "util.images.formats.Format, with a `kind`"
            )
        found |= {kind.kind: kind() for kind in own}
    return found


def format_of(path: str, start: bytes) -> Format:
    """The format that a file is read in, by its first bytes or else its name; Pillow's, which finds
    out for itself, if neither tells."""
    extension = os.path.splitext(path)[1].lower()
    unsigned = None
    for each in formats().values():
        if each.signatures:
            if each.knows(start):
                return each
        elif extension in each.extensions:
            unsigned = each
    return unsigned or format_named("")


def format_named(kind: str) -> Format:
    """The format of a header's `kind`; Pillow's for those that only Pillow knows."""
    return formats().get(kind) or formats()["pillow"]


@functools.cache
def extensions() -> tuple[str, ...]:
    """Of the files that are taken for images."""
    return tuple(extension for each in formats().values() for extension in each.extensions)


@functools.cache
def written_extensions() -> tuple[str, ...]:
    """That results may have: of the picture to look at, and of what may lie beside it."""
    return (".png", *(each.written for each in formats().values() if each.written))


def how_to_convert(extension: str) -> str:
    """` (DICOM): convert ...` for files that are no images here; empty if nothing is known."""
    for kind, (known, how) in OTHERS.items():
        if extension in known.split():
            return f" ({kind}; to images: {how})"
    return ""

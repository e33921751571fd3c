"""From a tensor to a file of the same depth, channels and format as another file, or in another
format that can hold it."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image

from util import atomic
from util.errors import UserError, warn
from util.images.convert import levels_of, png_bytes, save_image, scaled_size, tensor2im
from util.images.formats import format_named, written_extensions
from util.images.header import Header, read_header
from util.images.read import Range, decode_stored
from util.lazy import torch

EIGHT_BITS = Header((0, 0), 3)
SHOWN_PX, SHOWN_SIDE = 2**24, 2048  # px of a picture from which pages show a small copy
LOSSY = {"jpg": 95, "webp": 90}  # kind -> usual quality


@dataclass(frozen=True)
class Encoding:
    """What `--format` asks for instead of the format that the images came in.

    Args:
        kind: "png", "jpg" or "webp".
        quality: from 1 to 100, of the last two.
    """

    kind: str
    quality: int = 0

    @classmethod
    def of(cls, text: str) -> Encoding:
        """From `png`, `jpg`, `webp`, `jpg:95` or `webp:80`; ValueError for anything else."""
        kind, colon, quality = text.lower().partition(":")
        kind = "jpg" if kind == "jpeg" else kind
        number = int(quality) if quality.isdecimal() else LOSSY.get(kind, 0)
        known = kind in LOSSY or (kind == "png" and not colon)
        if not known or (colon and not quality.isdecimal()) or (colon and not 1 <= number <= 100):
            raise ValueError(
                f"{text!r}: accepted: png, jpg, webp, or with a quality from 1 to 100 jpg:95, "
                "webp:80"
            )
        return cls(kind, number)

    def check(self, path: str, model: Header, channels: int) -> None:
        """Raise UserError if results that are like a file cannot be written in this format.

        Args:
            path, model: the file, and what it holds.
            channels: of the results.
        """
        colours = channels in (1, 3)
        fitting = {"uint8": ["png", "webp", "jpg"], "uint16": ["png"]}.get(model.dtype, [])
        if not colours:
            fitting = fitting[:2] if model.alpha and channels in (2, 4) else []
        if self.kind not in fitting:
            own = format_named(model.kind).written.lstrip(".") or "tif"
            instead = ", ".join(fitting) or "none of png, jpg and webp"
            raise UserError(
                f"--format {self.kind}: results of {path} have {channels} x {model.dtype}, which "
                f"it cannot hold; accepted for it: {instead}; without the flag they come out as "
                f"{'png' if fitting and own == 'tif' and model.kind != 'tiff' else own}"
            )

    def encode(self, values: np.ndarray) -> bytes:
        """(H, W, C) as a file: uint8, for PNG also uint16."""
        if self.kind == "png":
            return png_bytes(values[..., 0] if values.shape[-1] == 1 else values)
        if self.kind == "jpg":
            space = "GRAY" if values.shape[-1] == 1 else "RGB"
            return simplejpeg.encode_jpeg(
                np.ascontiguousarray(values), self.quality, space, colorsubsampling="444"
            )
        if values.shape[-1] == 2:  # WebP has no grey
            values = values[..., [0, 0, 0, 1]]
        content = io.BytesIO()
        image = Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)
        image.save(content, "WEBP", quality=self.quality)
        return content.getvalue()


@functools.cache
def result_extensions() -> tuple[str, ...]:
    """That files of results may have."""
    return (*written_extensions(), *(f".{kind}" for kind in LOSSY))


def encode_values(
    image: torch.Tensor | np.ndarray,
    name: str,
    model: Header = EIGHT_BITS,
    value_range: Range | None = None,
    aspect_ratio: float = 1.0,
    encoding: Encoding | None = None,
) -> tuple[str, bytes]:
    """An image as the file that it came from holds its own.

    PNG wherever it can hold the values (8 and 16 bits; grey, colour, alpha), else TIFF; the other
    file's format if results are written in it (`Format.written`: TIFF and .npy).

    Args:
        image: (1, C, H, W) in [-1, 1]; or (H, W, C) by `levels_of`, which is not stretched.
        name: for messages.
        model: what the other file held.
        value_range: as in `read_picture`.
        aspect_ratio: width / height is multiplied by it.
        encoding: the format instead; UserError if it cannot hold the values.

    Returns: the extension, e.g. ".png", and the content of the file.
    """
    is_made = isinstance(image, np.ndarray)
    channels, own = image.shape[-1 if is_made else 1], format_named(model.kind)
    fits_png = channels in (1, 3) or (model.alpha and channels in (2, 4))
    if encoding:
        encoding.check(name, model, channels)
    values = image if is_made else levels_of(image, model, value_range, aspect_ratio)
    if not encoding and (own.written or not fits_png or model.dtype not in ("uint8", "uint16")):
        own = own if own.written else format_named("tiff")
        return own.written, own.encode(values, model)
    encoding = encoding or Encoding("png")
    return f".{encoding.kind}", encoding.encode(values)


def encode_like(
    image: torch.Tensor | np.ndarray,
    data: bytes | None,
    name: str,
    value_range: Range | None = None,
    encoding: Encoding | None = None,
) -> tuple[str, bytes]:
    """`encode_values` of an image, with the opacity of the file that it is made of.

    Args:
        data: that file; None: it is no picture. name: of it, for messages.
    """
    header = read_header(name, data) if data is not None else EIGHT_BITS
    values = image if isinstance(image, np.ndarray) else levels_of(image, header, value_range)
    if header.alpha and values.shape[-1] in (1, 3):
        if encoding and encoding.kind == "jpg":
            warn(f"{name}: JPEG has no opacity; png and webp have")
        else:
            values = np.concatenate([values, stored_alpha(name, data, header)], axis=2)
            header = replace(header, channels=values.shape[-1])
    return encode_values(values, name, header, value_range, encoding=encoding)


def stored_alpha(name: str, data: bytes, header: Header) -> np.ndarray:
    """(H, W, 1), the opacity that an image file holds, upright and in the file's type."""

    def last_channel(image: np.ndarray | Image.Image) -> np.ndarray:
        if isinstance(image, Image.Image):
            image = np.asarray(image.convert("LA" if header.channels == 2 else "RGBA"))
        return image[..., -1:]

    return decode_stored(name, data, last_channel).values


def save_values(image: torch.Tensor, path: Path, *how: Any) -> Path:
    """Write `encode_values` of (1, C, H, W) in [-1, 1].

    Args:
        path: of the file without its extension, which is added.
        how: model, value_range, aspect_ratio, encoding of `encode_values`.

    Returns: the file.
    """
    extension, content = encode_values(image, path.name, *how)
    file = path.with_name(path.name + extension)
    atomic.write(file, content, durable=False)
    return file


def save_like(
    image: torch.Tensor,
    path: Path,
    model: Header = EIGHT_BITS,
    value_range: Range | None = None,
    aspect_ratio: float = 1.0,
    encoding: Encoding | None = None,
    view: Path | None = None,
) -> Path:
    """`save_values`, and a picture to look at where the file is none: an 8-bit PNG beside it.

    Args:
        view: of the picture, without its extension, where the file is a PNG itself, but of 16 bits:
            browsers show these by their full range, so that 12 bits are all but black; or has more
            px than browsers show at ease. Of these the picture is a small copy.

    Returns: the picture to look at.
    """
    file = save_values(image, path, model, value_range, aspect_ratio, encoding)
    is_picture = file.suffix.lstrip(".") in ("png", *LOSSY)
    height, width = image.shape[2:]
    is_large = height * width > SHOWN_PX
    if is_picture and (view is None or (model.dtype != "uint16" and not is_large)):
        return file
    shown = view if is_picture else path
    shown = shown.with_name(f"{shown.name}.png")
    shown.parent.mkdir(parents=True, exist_ok=True)
    if is_large:
        size = scaled_size((height, width), SHOWN_SIDE, longer=True)
        image = torch.nn.functional.adaptive_avg_pool2d(image.float(), size)
    save_image(tensor2im(image), shown, aspect_ratio)
    return shown

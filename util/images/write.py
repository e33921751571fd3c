"""From a tensor to a file of the same depth, channels and format as another file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from util import atomic
from util.images.convert import png_bytes, save_image, stretched, tensor2im
from util.images.formats import format_named
from util.images.header import Header
from util.images.picture import Picture
from util.images.read import Range, value_limits
from util.lazy import torch

EIGHT_BITS = Header((0, 0), 3)


def save_like(
    image: torch.Tensor,
    path: Path,
    model: Header = EIGHT_BITS,
    value_range: Range | None = None,
    aspect_ratio: float = 1.0,
) -> Path:
    """Write an image as the file that it came from holds its own, and a picture to look at.

    PNG wherever it can hold the values (8 and 16 bits; grey, colour, alpha), else TIFF; the other
    file's format if results are written in it (`Format.written`: TIFF and .npy), beside a PNG.

    Args:
        image: (1, C, H, W) in [-1, 1].
        path: of the file without its extension, which is added.
        model: what the other file held.
        value_range: as in `read_picture`.
        aspect_ratio: width / height is multiplied by it.

    Returns: the picture to look at, a PNG.
    """
    channels = image.shape[1]
    shown = path.with_name(path.name + ".png")
    fits_png = channels in (1, 3) or (model.alpha and channels == model.channels)
    own = format_named(model.kind)
    if own.written or not fits_png or model.dtype not in ("uint8", "uint16"):
        save_image(tensor2im(image), shown, aspect_ratio)
        values = _values(image, model, value_range, aspect_ratio)
        own = own if own.written else format_named("tiff")
        beside = path.with_name(path.name + own.written)
        atomic.write(beside, own.encode(values, model), durable=False)
    elif model.dtype == "uint8" and channels in (1, 3):
        levels = tensor2im(image)
        save_image(levels if channels == 3 else levels[..., 0], shown, aspect_ratio)
    else:
        values = _values(image, model, value_range, aspect_ratio)
        atomic.write(shown, png_bytes(values), durable=False)
    return shown


def _values(
    image: torch.Tensor, model: Header, value_range: Range | None, aspect_ratio: float
) -> np.ndarray:
    """(H, W, C) of the other file's type."""
    scaled = (image.detach()[0].float().cpu().numpy().transpose(1, 2, 0) + 1) / 2
    if aspect_ratio != 1:
        scaled = stretched(Picture(scaled), aspect_ratio).values
    low, high = value_limits(model.dtype, value_range) or (0, 1)
    values = low + scaled.astype(np.float64) * (high - low)
    if np.dtype(model.dtype).kind == "f":
        return values.astype(model.dtype)
    kept = (
        (0, 1) if model.dtype == "bool" else (np.iinfo(model.dtype).min, np.iinfo(model.dtype).max)
    )
    return values.round().clip(*kept).astype(model.dtype)

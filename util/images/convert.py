"""Pictures: sizes, to tensors and back, names of files."""

from __future__ import annotations

import io
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from util import atomic
from util.errors import UserError
from util.images.picture import Picture
from util.lazy import torch


def scaled_size(size: tuple[int, int], target: int, longer: bool) -> tuple[int, int]:
    """(width, height) px, scaled so that the longer or the shorter side is `target`."""
    side = max(size) if longer else min(size)
    return tuple(max(1, round(px * target / side)) for px in size)


def fitted(image: Image.Image, longer_side: int) -> Image.Image:
    """Scaled so that its longer side has that many px, keeping the aspect; 0: as it is."""
    if not longer_side or max(image.size) == longer_side:
        return image
    size = scaled_size(image.size, longer_side, longer=True)
    return image.resize(size, Image.Resampling.BICUBIC)


def im2tensor(image: Image.Image) -> torch.Tensor:
    """An RGB image as (1, 3, H, W) in [-1, 1]."""
    pixels = torch.from_numpy(np.asarray(image, dtype=np.float32))
    return (pixels / 127.5 - 1).permute(2, 0, 1)[None].contiguous()


def tensor2im(input_image: torch.Tensor | np.ndarray, imtype: type = np.uint8) -> np.ndarray:
    """The first image of a batch as (H, W, 3) in [0, 255].

    Args:
        input_image: (N, C, H, W) in [-1, 1]; an array is returned as it is. One channel is shown
            grey; of more than three the first three are shown.
    """
    if isinstance(input_image, np.ndarray):
        return input_image.astype(imtype)
    image = input_image.detach()[0].float().cpu().numpy()[:3]  # (C, H, W)
    scaled = (image + 1) * 127.5
    # Rounded: the reference cuts off, which darkens by half a level.
    levels = scaled.round(out=scaled).clip(0, 255, out=scaled).astype(imtype)
    if len(levels) == 1:
        levels = np.repeat(levels, 3, axis=0)
    elif len(levels) == 2:
        levels = np.concatenate([levels, np.zeros_like(levels[:1])])
    return np.ascontiguousarray(levels.transpose(1, 2, 0))


def save_image(image_numpy: np.ndarray, image_path: str | Path, aspect_ratio: float = 1.0) -> None:
    """Write (H, W, 3) as a file, stretched so that width / height changes by aspect_ratio."""
    image, path = stretched(Image.fromarray(image_numpy), aspect_ratio), Path(image_path)
    if path.suffix.lower() == ".png" and image.mode in ("L", "LA", "RGB", "RGBA"):
        atomic.write(path, png_bytes(np.asarray(image)), durable=False)
    else:
        kind = Image.registered_extensions().get(path.suffix.lower())
        if kind is None:
            raise UserError(f"{path}: no image format has this ending; .png is one that has all")
        content = io.BytesIO()
        image.save(content, kind)
        atomic.write(path, content.getvalue(), durable=False)


def png_bytes(pixels: np.ndarray) -> bytes:
    """(H, W) or (H, W, C) of uint8 or uint16 as a PNG. Predicted by Paeth and packed in runs, as
    small as by a long search for repetitions, in a tenth of its time (benchmarks/testing.py)."""
    png = imagecodecs.PNG
    how = {"strategy": png.STRATEGY.RLE, "filter": png.FILTER.PAETH}
    return imagecodecs.png_encode(np.ascontiguousarray(pixels), level=png.COMPRESSION.SPEED, **how)


def stretched(image: Image.Image | Picture, aspect_ratio: float) -> Image.Image | Picture:
    """Made wider (above 1) or higher (below), so that width / height changes by aspect_ratio."""
    width, height = image.size
    if aspect_ratio > 1:
        return image.resize((int(width * aspect_ratio), height), Image.Resampling.BICUBIC)
    if aspect_ratio < 1:
        return image.resize((width, int(height / aspect_ratio)), Image.Resampling.BICUBIC)
    return image

"""Pictures: sizes, to tensors and back, names of files."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from util.lazy import torch
from util.planes import Picture

MAX_STEM_BYTES = 200  # of the 255 that a file's name may have


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
    image = input_image.detach()[0].float().cpu().numpy()  # (C, H, W)
    if image.shape[0] == 1:
        image = np.tile(image, (3, 1, 1))
    elif image.shape[0] == 2:
        image = np.concatenate([image, np.full_like(image[:1], -1)])
    scaled = (image[:3].transpose(1, 2, 0) + 1) / 2 * 255
    # Rounded: the reference cuts off, which darkens by half a level.
    return scaled.round().clip(0, 255).astype(imtype)


def save_image(image_numpy: np.ndarray, image_path: str | Path, aspect_ratio: float = 1.0) -> None:
    """Write (H, W, 3) as a file, stretched so that width / height changes by aspect_ratio."""
    stretched(Image.fromarray(image_numpy), aspect_ratio).save(image_path)


def stretched(image: Picture, aspect_ratio: float) -> Picture:
    """Made wider (above 1) or higher (below), so that width / height changes by aspect_ratio."""
    width, height = image.size
    if aspect_ratio > 1:
        return image.resize((int(width * aspect_ratio), height), Image.Resampling.BICUBIC)
    if aspect_ratio < 1:
        return image.resize((width, int(height / aspect_ratio)), Image.Resampling.BICUBIC)
    return image


def printable_stem(path: str) -> str:
    """A file's name without extension, as text of at most MAX_STEM_BYTES: a longer one is cut, and
    ends with a digest of the path."""
    stem = os.fsencode(Path(path).stem)
    if len(stem) > MAX_STEM_BYTES:
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
        return stem[: MAX_STEM_BYTES - 9].decode("utf-8", "ignore") + "_" + digest
    return stem.decode("utf-8", "replace")


def unique_stems() -> Callable[[str], str]:
    """A function file -> printable stem; one that comes again gets a number, so that nothing is
    overwritten: 000.jpg -> 000, 000.png -> 000_2."""
    given: set[str] = set()

    def stem_of(path: str) -> str:
        stem = printable_stem(path)
        numbered = (f"{stem}_{number}" for number in itertools.count(2))
        name = stem if stem not in given else next(n for n in numbered if n not in given)
        given.add(name)
        return name

    return stem_of

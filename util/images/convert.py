"""Pictures: sizes, to tensors and back, names of files."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
from PIL import Image, ImageOps

from util import atomic
from util.errors import UserError
from util.images.header import Header
from util.images.picture import Picture
from util.images.read import Range, picture_of, value_limits
from util.lazy import torch

IN_MEMORY = "the image"  # in messages, where it has no file
STRIP_PX = 2**22  # of a large image that become levels at once
SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")  # PIL's modes


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


def values_like(
    image: torch.Tensor, model: Header, value_range: Range | None = None, aspect_ratio: float = 1.0
) -> np.ndarray:
    """(1, C, H, W) in [-1, 1] -> (H, W, C) of the type that another file holds."""
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


def levels_of(
    image: torch.Tensor, model: Header, value_range: Range | None = None, aspect_ratio: float = 1.0
) -> np.ndarray:
    """(1, C, H, W) in [-1, 1] -> (H, W, C) as files hold it: `tensor2im` of grey and colours with 8
    bits, else `values_like`."""
    _, channels, height, width = image.shape
    rows = STRIP_PX // width
    if aspect_ratio == 1 and height > rows > 0:  # no second copy of a large one as floats
        made = Levels(model, value_range)
        for top in range(0, height, rows):
            strip = image[:, :, top : top + rows]
            made.write((top, top + strip.shape[2], 0, width), strip, (height, width))
        return made.values
    if model.dtype != "uint8" or channels not in (1, 3):
        return values_like(image, model, value_range, aspect_ratio)
    levels = tensor2im(image)
    if aspect_ratio != 1:
        levels = np.asarray(stretched(Image.fromarray(levels), aspect_ratio))
    return levels if channels == 3 else levels[..., :1]


class Levels:
    """A picture that comes in parts, in the type of a file.

    Args:
        model, value_range: as of `levels_of`.
    """

    def __init__(self, model: Header, value_range: Range | None) -> None:
        self.model, self.value_range = model, value_range
        self.values: np.ndarray | None = None  # (H, W, C), from the first part on

    def write(
        self, region: tuple[int, int, int, int], part: torch.Tensor, size: tuple[int, int]
    ) -> None:
        """Take a part.

        Args:
            region: (top, bottom, left, right) px.
            part: (1, C, h, w) in [-1, 1].
            size: (H, W) px of the picture.
        """
        levels, (top, bottom, left, right) = levels_of(part, self.model, self.value_range), region
        if self.values is None:
            self.values = np.empty((*size, levels.shape[-1]), levels.dtype)
        self.values[top:bottom, left:right] = levels


class Given(NamedTuple):
    """An image in memory, as networks take it.

    Args:
        images: a picture, or tensors (C, H, W) in [-1, 1].
        back: makes of translations what was given: of a picture's (H, W, C) by `levels_of`, of
            tensors (N, C, H, W) in [-1, 1].
        header: of a picture.
    """

    images: list[Picture] | list[torch.Tensor]
    back: Callable[[Any], Any]
    header: Header | None = None


def taken(image: Any, channels: int, value_range: Range | None) -> Given:
    """What somebody gives a `Translator`; UserError where that is no image."""
    if isinstance(image, torch.Tensor):
        return _taken_tensor(image, channels)
    if isinstance(image, np.ndarray):
        return _taken_array(image, channels, value_range)
    if isinstance(image, Image.Image):
        return _taken_pil(image, channels, value_range)
    raise UserError(
        f"{type(image).__name__} is no image; accepted: PIL's images, numpy arrays (H, W, C), "
        "tensors (C, H, W) or (N, C, H, W), lists of these; a file: PIL.Image.open(file)"
    )


def _taken_tensor(image: torch.Tensor, channels: int) -> Given:
    if image.dim() not in (3, 4) or image.shape[-3] != channels:
        raise UserError(
            f"a tensor of shape {tuple(image.shape)}; accepted: ({channels}, H, W) or "
            f"(N, {channels}, H, W)"
        )
    if image.dtype == torch.uint8:
        scaled = image.float().div(127.5).sub(1)
    elif image.is_floating_point():
        scaled = image.float()
    else:
        raise UserError(f"a tensor of {image.dtype}; accepted: uint8, or floats in [-1, 1]")

    def back(made: torch.Tensor) -> torch.Tensor:
        made = made if image.dim() == 4 else made[0]
        if image.dtype == torch.uint8:
            made = ((made + 1) * 127.5).round().clamp(0, 255)
        return made.to(image.device, image.dtype)

    return Given(list(scaled.reshape(-1, *scaled.shape[-3:])), back)


def _taken_array(image: np.ndarray, channels: int, value_range: Range | None) -> Given:
    if image.ndim not in (2, 3) or 0 in image.shape:
        raise UserError(f"an array of shape {image.shape}; accepted: (H, W) or (H, W, C)")
    values = image if image.ndim == 3 else image[..., None]
    count = values.shape[2]
    alpha = count in (2, 4) and count != channels
    deep = image.dtype != np.uint8 or count not in (1, 3)
    size = (image.shape[1], image.shape[0])
    header = Header(size, count, image.dtype.name, alpha=alpha, deep=deep)
    picture = picture_of(IN_MEMORY, values, header, channels, value_range)

    def back(result: np.ndarray) -> np.ndarray:
        if alpha:
            result = np.concatenate([result, values[..., -1:]], axis=2)
        return result[..., 0] if image.ndim == 2 and result.shape[2] == 1 else result

    return Given([picture], back, header)


def _taken_pil(image: Image.Image, channels: int, value_range: Range | None) -> Given:
    image = ImageOps.exif_transpose(image)  # upright, as files are read
    if image.mode in (*SIXTEEN_BITS, "I", "F"):
        array = np.asarray(image)
        given = _taken_array(array.astype(array.dtype.newbyteorder("=")), channels, value_range)
        return given._replace(back=lambda made: _deep_pil(given.back(made), image.mode))
    grey = image.mode in ("1", "L", "LA")
    colours = "L" if grey else "RGB"
    mode = colours + "A" * image.has_transparency_data
    plain = image if image.mode == mode else image.convert("RGBA" if "A" in mode else colours)
    array = np.asarray(plain if plain.mode == mode else plain.convert(mode))
    given = _taken_array(array, channels, value_range)

    def back(made: np.ndarray) -> Image.Image:
        result = given.back(made)
        if result.ndim == 3 and result.shape[2] == 1:
            result = result[..., 0]
        return Image.fromarray(result)

    return given._replace(back=back)


def _deep_pil(values: np.ndarray, mode: str) -> Image.Image:
    """PIL's image of 16-bit, 32-bit or float values (H, W)."""
    if values.ndim == 3:
        raise UserError(
            f"a PIL image of mode {mode} became {values.shape[2]} channels of {values.dtype}, "
            "which PIL cannot hold; give a numpy array: np.asarray(image)"
        )
    return Image.fromarray(values)

"""Label maps that somebody holds in memory, in and out: PIL's images, arrays and tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from util.errors import UserError
from util.images.convert import IN_MEMORY, Given
from util.images.header import Header
from util.images.picture import Picture
from util.labels.colours import with_palette
from util.labels.read import values_of
from util.labels.table import Labels
from util.lazy import torch


def taken_labels(image: Any, labels: Labels) -> Given:
    """What somebody gives a `Translator` of label maps: a picture of its classes, or tensors of one
    channel for each class.

    Args:
        image: PIL's of ids (grey, palette) or of the table's colours; an array (H, W), (H, W, 1) or
            (H, W, 3) of these; a tensor of whole numbers (H, W) or (1, H, W), or of floats in
            [-1, 1], (C, H, W) or (N, C, H, W), a channel for each class.

    Raises:
        UserError: it is none of these, or holds values of no class.
    """
    if isinstance(image, torch.Tensor) and image.is_floating_point():
        return _taken_channels(image, labels)
    if isinstance(image, torch.Tensor):
        array = image.detach().cpu().numpy()
        array = np.moveaxis(array, 0, -1) if array.ndim == 3 else array
        given = taken_labels(array, labels)
        return given._replace(back=lambda made: torch.from_numpy(np.moveaxis(made, -1, 0).copy()))
    if isinstance(image, np.ndarray) and (image.ndim not in (2, 3) or 0 in image.shape):
        raise UserError(f"an array of shape {image.shape}; accepted: (H, W) ids, (H, W, 3) colours")
    if not isinstance(image, (np.ndarray, Image.Image)):
        raise UserError(
            f"{type(image).__name__} is no label map; accepted: PIL's images, numpy arrays (H, W), "
            f"tensors (H, W) of ids or ({labels.count}, H, W) of channels, lists of these"
        )
    values = values_of(IN_MEMORY, image, labels.by_colour)
    picture = Picture(labels.classes(values, IN_MEMORY), {"path": IN_MEMORY})
    is_pil = isinstance(image, Image.Image)
    back = lambda made: _pil(made) if is_pil else made  # noqa: E731
    return Given([picture], back, Header(picture.size, 3))


def _taken_channels(image: torch.Tensor, labels: Labels) -> Given:
    if image.dim() not in (3, 4) or image.shape[-3] != labels.count:
        raise UserError(
            f"a tensor of floats of shape {tuple(image.shape)}; accepted: ({labels.count}, H, W), "
            f"a channel for each class, or (N, {labels.count}, H, W)"
        )

    def back(made: torch.Tensor) -> torch.Tensor:
        return (made if image.dim() == 4 else made[0]).to(image.device, image.dtype)

    return Given(list(image.float().reshape(-1, *image.shape[-3:])), back)


def given_back(values: np.ndarray, image: Any, labels: Labels) -> Any:
    """A translation that is a label map, of `values_like_files`, as the kind of image that it is
    made of: PIL's with a palette, or in colours; an array (H, W) of ids, or (H, W, 3)."""
    if not isinstance(image, Image.Image):
        return values[..., 0] if values.shape[-1] == 1 else values
    if values.shape[-1] == 1 and values.dtype == np.uint8:
        return with_palette(values, labels)
    return _pil(values)


def _pil(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)

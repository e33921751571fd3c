"""Pictures as the arrays that they become: 8 bits stay 8 bits until the batch is together."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image

from util.images.picture import Picture, Planes, Sized
from util.lazy import torch


class Levels(Sized):
    """A picture as a tensor, with the verbs of a PIL image that cut it.

    Args:
        values: (C, H, W), uint8 or float32 in [0, 1]; never written to.
    """

    def __init__(self, values: torch.Tensor, info: dict | None = None) -> None:
        self.values = values
        self.info = info or {}

    @classmethod
    def of(cls, picture: Picture | Levels) -> Levels:
        """The same picture, with values of its own that lie side by side in memory."""
        if isinstance(picture, Levels):
            values = picture.values.clone(memory_format=torch.contiguous_format)
        elif isinstance(picture, Planes):
            values = _stacked(picture.planes).clamp_(0, 1)  # bicubic overshoots
        else:
            values = _stacked(picture.split())
        return cls(values, picture.info)

    @property
    def size(self) -> tuple[int, int]:
        return self.values.shape[2], self.values.shape[1]

    def crop(self, box: tuple[int, int, int, int]) -> Levels:
        left, top, right, bottom = box
        return Levels(self.values[:, top:bottom, left:right], self.info)

    def transpose(self, method: Image.Transpose) -> Levels:
        assert method == Image.Transpose.FLIP_LEFT_RIGHT
        return Levels(self.values.flip(-1), self.info)


def _stacked(channels: tuple[Image.Image, ...] | list[Image.Image]) -> torch.Tensor:
    return torch.from_numpy(np.stack([np.asarray(channel) for channel in channels]))


def in_range(levels: torch.Tensor) -> torch.Tensor:
    """uint8, or float32 in [0, 1], to float32 in [-1, 1]: the numbers of `data.transforms.ToTensor`
    and `Normalize`, bit for bit, on every device. Floats are changed in place."""
    if levels.dtype != torch.uint8:
        return levels.sub_(0.5).mul_(2)  # as exact as the division by 0.5, and faster
    if levels.device.type != "cpu":  # a GPU divides by multiplying: the last bit may differ
        return _range_of_levels(levels.device)[levels.long()]
    return in_range(in_unit(levels))


@functools.cache
def _range_of_levels(device: torch.device) -> torch.Tensor:
    """`in_range` of 0 to 255, brought to a device once."""
    return in_range(torch.arange(256, dtype=torch.uint8)).to(device)


def in_unit(levels: torch.Tensor) -> torch.Tensor:
    """uint8 to float32 in [0, 1]; float32 is that already."""
    return levels.to(torch.float32).div_(255) if levels.dtype == torch.uint8 else levels

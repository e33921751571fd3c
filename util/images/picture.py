"""An image in memory, of any depth and number of channels, with the few verbs of a PIL image that
transforms use; and the way from its values to those of a network."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image

from util.lazy import torch

LUMA = (0.299, 0.587, 0.114)  # of R, G and B in grey (ITU-R 601-2), as in PIL
TRANSPOSED = {
    Image.Transpose.FLIP_LEFT_RIGHT: lambda values: values[:, ::-1],
    Image.Transpose.FLIP_TOP_BOTTOM: lambda values: values[::-1],
    Image.Transpose.ROTATE_90: lambda values: np.rot90(values),
    Image.Transpose.ROTATE_180: lambda values: values[::-1, ::-1],
    Image.Transpose.ROTATE_270: lambda values: np.rot90(values, -1),
    Image.Transpose.TRANSPOSE: lambda values: values.swapaxes(0, 1),
    Image.Transpose.TRANSVERSE: lambda values: values[::-1, ::-1].swapaxes(0, 1),
}


class Picture:
    """Values (H, W, C) that several pictures may share: never written to.

    `size`, `width`, `height`, `resize`, `crop`, `transpose` and `info` are as of a PIL image.

    Args:
        held: uint8 of one or three channels; or float32 in [0, 1] of any number, where a bicubic
            resize may overshoot; or PIL's grey or RGB image, whose values are copied when somebody
            asks for them: what is resized or cropped first is copied after that. Label maps may be
            int32, too, which are resized to the nearest value only.
        info: "path" is the file; "full" is (width, height) px before a dataset's resize.
    """

    def __init__(self, held: np.ndarray | Image.Image, info: dict | None = None) -> None:
        self.held = held
        self.info = info or {}

    @classmethod
    def of(cls, image: Image.Image | Picture) -> Picture:
        """The same picture; PIL's has to be grey or RGB, of 8 bits."""
        if isinstance(image, Picture):
            return image
        if image.mode not in ("L", "RGB"):
            raise ValueError(f"an image of mode {image.mode}; accepted: L, RGB")
        image.load()  # what is wrong with its file is told now
        return cls(image, image.info)

    @functools.cached_property
    def values(self) -> np.ndarray:
        """(H, W, C)."""
        return self.held if isinstance(self.held, np.ndarray) else _values_of(self.held)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) px."""
        if isinstance(self.held, Image.Image):
            return self.held.size
        return self.held.shape[1], self.held.shape[0]

    @property
    def width(self) -> int:
        """px."""
        return self.size[0]

    @property
    def height(self) -> int:
        """px."""
        return self.size[1]

    def resize(self, size: tuple[int, int], resample: Image.Resampling | None = None) -> Picture:
        """To (width, height) px, by Pillow: all channels at once of uint8, each alone of floats."""
        if isinstance(self.held, Image.Image) or self.held.dtype == np.uint8:
            return Picture(self.pil().resize(size, resample), self.info)
        channels = [np.ascontiguousarray(channel) for channel in np.moveaxis(self.values, -1, 0)]
        resized = [np.asarray(Image.fromarray(c).resize(size, resample)) for c in channels]
        return Picture(np.moveaxis(np.stack(resized), 0, -1), self.info)

    def crop(self, box: tuple[int, int, int, int]) -> Picture:
        """The part (left, top, right, bottom) px, which has to lie inside."""
        left, top, right, bottom = box
        if isinstance(self.held, Image.Image):
            return Picture(self.held.crop(box), self.info)
        return Picture(self.values[top:bottom, left:right], self.info)

    def transpose(self, method: Image.Transpose) -> Picture:
        """Mirrored or turned."""
        return Picture(TRANSPOSED[method](self.values), self.info)

    def pil(self) -> Image.Image:
        """The PIL image of uint8 values."""
        if isinstance(self.held, Image.Image):
            self.held.info = self.info
            return self.held
        values = self.values[..., 0] if self.values.shape[-1] == 1 else self.values
        image = Image.fromarray(np.ascontiguousarray(values))
        image.info = self.info
        return image

    def tensor(self) -> torch.Tensor:
        """(C, H, W), uint8 or float32 in [0, 1], in memory of its own."""
        values = self.values.transpose(2, 0, 1)
        mirrored = values.strides[-1] < 0  # torch mirrors faster than numpy copies backwards
        tensor = torch.from_numpy(np.array(values[..., ::-1] if mirrored else values, order="C"))
        tensor = tensor.flip(-1) if mirrored else tensor
        return tensor if tensor.dtype == torch.uint8 else tensor.clamp_(0, 1)


def _values_of(image: Image.Image) -> np.ndarray:
    """(H, W, C) of PIL's grey or RGB image."""
    values = np.asarray(image)
    return values if values.ndim == 3 else values[..., None]


def grey(values: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (H, W, 1)."""
    return (values @ np.array(LUMA, np.float32))[..., None]


def on_white(values: np.ndarray) -> np.ndarray:
    """(H, W, C + 1) in [0, 1], the last channel alpha -> (H, W, C)."""
    alpha = values[..., -1:]
    return values[..., :-1] * alpha + (1 - alpha)


def in_range(values: torch.Tensor) -> torch.Tensor:
    """uint8, or float32 in [0, 1], to float32 in [-1, 1]: the numbers of `data.transforms.ToTensor`
    and `Normalize`, bit for bit, on every device. Floats are changed in place."""
    if values.dtype != torch.uint8:
        return values.sub_(0.5).mul_(2)  # as exact as the division by 0.5, and faster
    if values.device.type != "cpu":  # a GPU divides by multiplying: the last bit may differ
        return _range_of_bytes(values.device)[values.long()]
    return in_range(in_unit(values))


@functools.cache
def _range_of_bytes(device: torch.device) -> torch.Tensor:
    """`in_range` of 0 to 255, brought to a device once."""
    return in_range(torch.arange(256, dtype=torch.uint8)).to(device)


def in_unit(values: torch.Tensor) -> torch.Tensor:
    """uint8 to float32 in [0, 1]; float32 is that already."""
    return values.to(torch.float32).div_(255) if values.dtype == torch.uint8 else values

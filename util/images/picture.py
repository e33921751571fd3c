"""Pictures that 8 bits and three colours cannot hold, with the few verbs of a PIL image that
transforms use."""

import numpy as np
from PIL import Image

LUMA = (0.299, 0.587, 0.114)  # of R, G and B in grey (ITU-R 601-2), as in PIL


class Sized:
    """Whatever has a size = (width, height) px."""

    size: tuple[int, int]

    @property
    def width(self) -> int:
        return self.size[0]

    @property
    def height(self) -> int:
        return self.size[1]


class Planes(Sized):
    """One float image for each channel, in [0, 1] where nothing was resized (bicubic overshoots).

    `size`, `width`, `height`, `resize`, `crop`, `transpose` and `info` are as of a PIL image.
    """

    def __init__(self, planes: list[Image.Image], info: dict | None = None) -> None:
        self.planes = planes  # each of mode F
        self.info = info or {}

    @classmethod
    def from_array(cls, values: np.ndarray) -> "Planes":
        """Args: values (H, W, C)."""
        channels = np.moveaxis(values.astype(np.float32), -1, 0)
        return cls([Image.fromarray(np.ascontiguousarray(channel)) for channel in channels])

    @property
    def size(self) -> tuple[int, int]:
        return self.planes[0].size

    def array(self) -> np.ndarray:
        """(H, W, C) float32."""
        return np.stack([np.asarray(plane) for plane in self.planes], axis=-1)

    def resize(self, size: tuple[int, int], resample: Image.Resampling | None = None) -> "Planes":
        return self._each("resize", size, resample)

    def crop(self, box: tuple[int, int, int, int]) -> "Planes":
        return self._each("crop", box)

    def transpose(self, method: Image.Transpose) -> "Planes":
        return self._each("transpose", method)

    def _each(self, verb: str, *how: object) -> "Planes":
        return Planes([getattr(plane, verb)(*how) for plane in self.planes], self.info)


Picture = Image.Image | Planes


def grey(values: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (H, W, 1)."""
    return (values @ np.array(LUMA, np.float32))[..., None]


def on_white(values: np.ndarray) -> np.ndarray:
    """(H, W, C + 1) in [0, 1], the last channel alpha -> (H, W, C)."""
    alpha = values[..., -1:]
    return values[..., :-1] * alpha + (1 - alpha)

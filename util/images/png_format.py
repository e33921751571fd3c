"""PNG."""

from __future__ import annotations

import imagecodecs
import numpy as np
from PIL import Image, PngImagePlugin

from util.images.header import Header
from util.images.pillow_format import DirectFormat


class PngFormat(DirectFormat):
    """By Pillow; 16 bits a value by libpng."""

    kind = "png"
    extensions = (".png",)
    signatures = (b"\x89PNG",)
    pillow_class = PngImagePlugin.PngImageFile

    def decode(
        self, data: bytes, header: Header, min_size: tuple[int, int] | None = None
    ) -> np.ndarray | Image.Image:
        """A PIL image; of 16 bits an array."""
        return imagecodecs.png_decode(data) if header.deep else super().decode(data, header)

    def is_cut_off(self, end: bytes) -> bool:
        """By the chunk that ends a file."""
        return b"IEND" not in end

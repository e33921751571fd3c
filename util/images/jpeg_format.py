"""JPEG."""

from __future__ import annotations

import numpy as np
import simplejpeg
from PIL import Image, JpegImagePlugin

from util.images.header import Header
from util.images.pillow_format import DirectFormat


class JpegFormat(DirectFormat):
    """Decoded strictly: Pillow shows a damaged middle as grey blocks."""

    kind = "jpeg"
    extensions = (".jpg", ".jpeg", ".jpe", ".jfif")
    signatures = (b"\xff\xd8\xff",)
    pillow_class = staticmethod(JpegImagePlugin.jpeg_factory)

    def decode(
        self, data: bytes, header: Header, min_size: tuple[int, int] | None = None
    ) -> np.ndarray | Image.Image:
        """(H, W, C), where `min_size` allows it at a fraction of the size; CMYK by Pillow."""
        if header.mode not in ("RGB", "L"):
            return super().decode(data, header)
        width, height = min_size or (0, 0)  # 0: as it is
        if header.turned in (5, 6, 7, 8):
            width, height = height, width
        if header.size[0] % 16 or header.size[1] % 16:  # halves begin between two blocks
            width = height = 0
        space = "GRAY" if header.mode == "L" else "RGB"
        # strict: libjpeg's warnings are errors.
        return simplejpeg.decode_jpeg(
            data, colorspace=space, min_width=width, min_height=height, strict=True
        )

    def is_cut_off(self, end: bytes) -> bool:
        """By the mark that ends an image."""
        return not end.endswith(b"\xff\xd9")

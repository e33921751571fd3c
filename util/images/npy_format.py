"""numpy's arrays: (H, W), (H, W, C), or (C, H, W) if the first axis is shorter than the last."""

from __future__ import annotations

import io
import math
import os
from typing import BinaryIO

import numpy as np

from util.images.formats import Format
from util.images.header import Header


class NpyFormat(Format):
    """Arrays of integers and floats."""

    kind = "npy"
    extensions = (".npy",)
    signatures = (b"\x93NUMPY",)
    written = ".npy"

    def header(self, file: BinaryIO) -> Header:
        """Of an array that can be an image."""
        version = np.lib.format.read_magic(file)
        reader = getattr(np.lib.format, f"read_array_header_{min(version[0], 2)}_0")
        shape, _, dtype = reader(file)
        if dtype.kind not in "buif":
            raise ValueError(f"an array of {dtype}; accepted: integers and floats")
        if len(shape) not in (2, 3) or min(shape) < 1:
            raise ValueError(f"an array {shape}; accepted: (H, W), (H, W, C) or (C, H, W)")
        begin = file.tell()
        held = file.seek(0, os.SEEK_END) - begin
        if held < math.prod(shape) * dtype.itemsize:
            raise ValueError("the file is truncated")
        first = len(shape) == 3 and shape[0] < shape[2]
        height, width, channels = (*shape[1:], shape[0]) if first else (*shape, 1)[:3]
        size = (width, height)
        return Header(size, channels, dtype.name, "npy", deep=True, channels_first=first)

    def decode(
        self, data: bytes, header: Header, min_size: tuple[int, int] | None = None
    ) -> np.ndarray:
        """The array, without code that it may carry."""
        values = np.load(io.BytesIO(data), allow_pickle=False)
        return np.moveaxis(values, 0, -1) if header.channels_first else values

    def encode(self, values: np.ndarray, header: Header) -> bytes:
        """In the order of axes that the other file has."""
        if values.shape[-1] == 1 and header.channels == 1:
            values = values[..., 0]
        content = io.BytesIO()
        np.save(content, np.moveaxis(values, -1, 0) if header.channels_first else values)
        return content.getvalue()

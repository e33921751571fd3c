"""Where the activations of a whole image are kept between two sweeps over it."""

from __future__ import annotations

import os
import shutil
import tempfile

import torch

from models.tiles.local import Region

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Store:
    """One value of a forward, (1, C, H, W), written and read in parts; channels lie together.

    Args:
        shape: (1, C, H, W).
        dtype: in which it is kept.
        device: where parts are read to.
        folder: of a scratch file; None: in memory.
    """

    def __init__(
        self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device, folder: str | None
    ) -> None:
        _, self.channels, self.height, self.width = shape
        self.dtype, self.device = dtype, device
        self.file = None if folder is None else tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self.memory = None
        if self.file is None:
            size = (self.height, self.width, self.channels)
            self.memory = torch.empty(size, dtype=dtype, device=device)

    def write(self, region: Region, tile: torch.Tensor) -> None:
        """Keep a part, (1, C, h, w)."""
        pixels = tile[0].permute(1, 2, 0)
        if self.memory is not None:
            self.memory[region.top : region.bottom, region.left : region.right] = pixels
            return
        rows = pixels.to("cpu", self.dtype).contiguous().view(torch.uint8).numpy()
        for row, at in zip(rows, self._places(region), strict=True):
            _complete(os.pwritev, self.file.fileno(), row, at)

    def read(self, region: Region) -> torch.Tensor:
        """A part, (1, C, h, w), float32; nobody else holds its memory."""
        if self.memory is not None:
            part = self.memory[region.top : region.bottom, region.left : region.right]
            return part.to(torch.float32, copy=True).permute(2, 0, 1)[None]
        size = (region.bottom - region.top, region.right - region.left, self.channels)
        pixels = torch.empty(size, dtype=self.dtype)
        for row, at in zip(pixels.view(torch.uint8).numpy(), self._places(region), strict=True):
            _complete(os.preadv, self.file.fileno(), row, at)
        return pixels.to(self.device, torch.float32).permute(2, 0, 1)[None]

    def close(self) -> None:
        """Let go of memory and file."""
        self.memory = None
        if self.file is not None:
            self.file.close()

    def _places(self, region: Region) -> range:
        """Where each row of a region begins in the file, bytes."""
        px = self.channels * self.dtype.itemsize
        row = self.width * px
        first = region.top * row + region.left * px
        return range(first, first + (region.bottom - region.top) * row, row)


def _complete(function, file: int, row, at: int) -> None:
    """Write or read all of a row, in as many calls as it takes."""
    view = memoryview(row).cast("B")
    while view:
        done = function(file, [view], at)
        if not done:
            raise OSError(f"scratch file: {len(view)} bytes are missing")
        view, at = view[done:], at + done


def stored_bytes(shape: tuple[int, ...], dtype: torch.dtype) -> int:
    """How much a store of this shape takes."""
    return torch.Size(shape).numel() * dtype.itemsize


def free_bytes(folder: str) -> int:
    """Room for scratch files."""
    return shutil.disk_usage(folder).free

"""Where the activations of a whole image are kept between two sweeps over it."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from typing import BinaryIO

import torch

from models.tiles.local import Region
from util.errors import UserError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
NOT_RESERVED = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


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
        self.dtype, self.device, self.folder = dtype, device, folder
        self.size = stored_bytes(shape, dtype)
        self.file = None if folder is None else _scratch_file(folder, self.size)
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
        try:
            for row, at in zip(rows, self._places(region), strict=True):
                _complete(os.pwritev, self.file.fileno(), row, at)
        except OSError as error:
            raise _no_room(self.folder, self.size, error) from None

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


def _scratch_file(folder: str, size: int) -> BinaryIO:
    """A file of that many bytes, which has no name: whatever ends the process, the system deletes
    it. Its room is taken at once: a full disk is told before there is work to lose.

    Raises:
        UserError: there is no room for it, or the folder cannot be written.
    """
    try:
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno in NOT_RESERVED:  # a file system that grows files as they are written
            return file
        raise _no_room(folder, size, error) from None
    return file


def _no_room(folder: str, size: int, error: OSError) -> UserError:
    failure = UserError(
        f"--tile_scratch {folder}: no scratch file of {size / 2**30:.1f} GiB "
        f"({error.strerror}); give another folder, --tile_precision bf16 (half of it) or more "
        "--tile_memory"
    )
    failure.exit_code = 1
    return failure


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

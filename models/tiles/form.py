"""A network that computes large images in tiles by itself: a form of `models.compute.configure`."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from tqdm import tqdm

from models.compute.configure import Form, exchange, forms
from models.compute.precision import DTYPES
from models.tiles.local import Region
from models.tiles.record import CannotTile, Program, record, sketch
from models.tiles.store import DTYPES as STORED
from models.tiles.store import free_bytes, stored_bytes
from models.tiles.sweep import Sink, Source, Statistics, TiledForward, TileRules
from util.errors import UserError
from util.machine import free_memory

Forward = Callable[..., object]
THUMBNAIL_PX = 512  # longer side of the image that approximate statistics are taken from
SPARE_DISK = 2**28  # bytes that scratch files leave to others
THUMBNAIL_ROWS = 16  # that are averaged at once


@dataclass(frozen=True)
class Tiling:
    """When a network computes in tiles, and how.

    Args:
        side: px of a tile; 0: as memory allows, and only where the whole image does not fit.
        memory: bytes that the computation may take; 0: half of what is free.
        approximate: take the norms' statistics from a small copy of the image: one sweep.
        scratch: folder of files for what memory does not hold; empty: that of temporary files.
        dtype: of values that are kept between sweeps.
    """

    side: int = 0
    memory: int = 0
    approximate: bool = False
    scratch: str = field(default_factory=tempfile.gettempdir)
    dtype: torch.dtype = torch.float32

    @classmethod
    def of(cls, flags: Mapping[str, Any]) -> Tiling | None:
        """From the flags `--tile` and `--tile_...`; None: no tiles.

        Raises:
            UserError: there is no such folder for scratch files.
        """
        if flags["tile"] == "off":
            return None
        side = 0 if flags["tile"] == "auto" else int(flags["tile"])
        if (folder := flags["tile_scratch"]) and not os.path.isdir(folder):
            raise UserError(f"--tile_scratch {folder}: no such folder; give one that is there")
        return cls(
            side, int(flags["tile_memory"] * 2**30), flags["tile_approximate"],
            folder or tempfile.gettempdir(), STORED[flags["tile_precision"]],
        )  # fmt: skip

    def room(self, device: torch.device) -> int:
        """Bytes that the computation may take."""
        if self.memory:
            return self.memory
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
        return int(min(free, 2**40) // 2)


def tile_networks(nets: Iterable[nn.Module], tiling: Tiling) -> None:
    """Let networks compute images in tiles that are too large for them as a whole. Without
    gradients only; features, and several images at once, are computed as ever."""
    for net in nets:
        exchange(net, Form("tiles", "tiles", InTiles(tiling)))


class InTiles:
    """From a network's forward to the one that takes tiles where they are needed.

    Args:
        tiling: when they are.
    """

    def __init__(self, tiling: Tiling) -> None:
        self.tiling = tiling
        self.needed: dict[tuple[int, ...], int] = {}  # shape of an image -> bytes without tiles

    @classmethod
    def of(cls, net: nn.Module) -> InTiles | None:
        """What `tile_networks` has told a network; None: nothing."""
        return next((form.around for form in forms(net) if form.purpose == "tiles"), None)

    def __call__(self, forward: Forward) -> Forward:
        """See `models.compute.configure.Form`."""

        def tiled(net: nn.Module, image: torch.Tensor, *more: object, **options: object) -> object:
            alone = isinstance(image, torch.Tensor) and image.dim() == 4 and len(image) == 1
            if more or not alone or torch.is_grad_enabled() or options.keys() & {"layers"}:
                return forward(net, image, *more, **options)
            program = self.program(net, tuple(image.shape), image.device, **options)
            if program is None:
                return forward(net, image, **options)
            output = image.new_empty(program.shape(program.output))

            def sink(region: Region, tile: torch.Tensor) -> None:
                output[..., region.top : region.bottom, region.left : region.right] = tile

            source = lambda region: Region.whole(image.shape).cut(image, region)  # noqa: E731
            run(net, program, self.tiling, image.device, source, sink, **options)
            return output

        return tiled

    def program(
        self, net: nn.Module, shape: tuple[int, ...], device: torch.device, **options: object
    ) -> Program | None:
        """The forward on an image (1, C, H, W), recorded; None if it is computed as a whole.

        Raises:
            CannotTile: it has to be computed in tiles, and cannot be.
        """
        room, forced = self.tiling.room(device), self.tiling.side > 0
        if not forced and self.needed.get(shape, room + 1) <= room:
            return None
        program = sketch(net, shape, **options)
        self.needed[shape] = whole_bytes(program)
        if not forced and self.needed[shape] <= room:
            return None
        if program.problem and forced:
            raise CannotTile(f"{program.problem}; leave --tile {self.tiling.side} out")
        if program.problem:
            raise CannotTile(
                f"{shape[3]}x{shape[2]} px take {self.needed[shape] / 2**30:.1f} GiB at once, "
                f"{room / 2**30:.1f} are there (--tile_memory), and {program.problem}; give a "
                "smaller image, or --tile off to try it at once"
            )
        return program


def run(
    net: nn.Module, program: Program, tiling: Tiling, device: torch.device, source: Source,
    sink: Sink, **options: object,
) -> None:  # fmt: skip
    """A recorded forward, in tiles and in the network's number format.

    Args:
        program: the forward, recorded.
        source: gives parts of the image, (1, C, h, w) float32, on the device.
        sink: takes parts of the output, float32.
        options: further arguments of the network's forward.
    """
    precision = next((f.name for f in forms(net) if f.purpose == "precision"), None)
    with (
        torch.inference_mode(),
        torch.autocast(
            device.type, DTYPES.get(precision, torch.bfloat16), enabled=precision is not None
        ),
        _bar(program.image) as bar,
    ):
        statistics = None
        if tiling.approximate:
            statistics = _thumbnail_statistics(net, program, device, source, **options)
        rules = tile_rules(tiling, device)
        forward = TiledForward(program, source, device, rules, statistics)
        told = lambda share: bar.update(min(100 * share, 100 - bar.n))  # noqa: E731
        forward.run(lambda region, tile: sink(region, tile.float()), told)


def _bar(image: tuple[int, ...]) -> tqdm:
    """How far a large image is, on a terminal, and how long the rest takes."""
    form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    text = f"{image[3]}x{image[2]} px in tiles"
    return tqdm(total=100, desc=text, bar_format=form, delay=2, leave=False, dynamic_ncols=True,
                disable=None)  # fmt: skip


def tile_rules(tiling: Tiling, device: torch.device) -> TileRules:
    """Tiles and stores for a forward."""
    room, disk = tiling.room(device), free_bytes(tiling.scratch) - SPARE_DISK
    return TileRules(tiling.side, room, tiling.scratch, max(0, disk), tiling.dtype)


def whole_bytes(program: Program) -> int:
    """About the most that the forward's values take at once without tiles."""
    last = {taken: value for value, step in enumerate(program.steps, 1) for taken in step.inputs}
    most = alive = stored_bytes(program.image, torch.float32)
    for value, step in enumerate(program.steps, 1):
        alive += stored_bytes(step.shape, torch.float32)
        most = max(most, alive)
        ended = {taken for taken in step.inputs if last[taken] == value}
        alive -= sum(stored_bytes(program.shape(taken), torch.float32) for taken in ended)
    return most


def _thumbnail_statistics(
    net: nn.Module, program: Program, device: torch.device, source: Source, **options: object
) -> dict[int, Statistics]:
    """Mean and variance of the norms' inputs, of a small copy of the image."""
    small = _thumbnail(program, source).to(device)
    shown = record(net, tuple(small.shape), **options)
    forward = TiledForward(
        shown, lambda region: Region.whole(small.shape).cut(small, region), device, TileRules(2**20)
    )
    forward.run(lambda region, tile: None)
    return forward.statistics


def _thumbnail(program: Program, source: Source) -> torch.Tensor:
    """The image, averaged to about THUMBNAIL_PX; what halves the image's sides halves its sides."""
    height, width = program.image[2:]
    shrink = max(height, width) / THUMBNAIL_PX
    small = [_small_side(side, shrink) for side in (height, width)]
    strips = []
    for top in range(0, small[0], THUMBNAIL_ROWS):
        bottom = min(top + THUMBNAIL_ROWS, small[0])
        rows = Region(top * height // small[0], bottom * height // small[0], 0, width)
        strips.append(F.adaptive_avg_pool2d(source(rows), (bottom - top, small[1])))
    return torch.cat(strips, 2)


def _small_side(side: int, shrink: float) -> int:
    multiple = math.gcd(side, 256)  # as many halvings as the largest networks here do
    return min(side, max(1, round(side / shrink / multiple)) * multiple)

"""A network that computes large images in tiles by itself: a form of `models.compute.configure`."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

from models.compute.configure import Form, exchange, forms
from models.compute.precision import DTYPES
from models.tiles.local import Region
from models.tiles.record import Program, record
from models.tiles.store import free_bytes, stored_bytes
from models.tiles.sweep import Sink, Source, Statistics, TiledForward, TileRules
from util.machine import free_memory

Forward = Callable[..., object]
THUMBNAIL_PX = 512  # longer side of the image that approximate statistics are taken from
THUMBNAIL_ROWS = 16  # that are averaged at once


@dataclass(frozen=True)
class Tiling:
    """When a network computes in tiles, and how.

    Args:
        side: px of a tile; 0: as memory allows, and only where the whole image does not fit.
        memory: bytes that the computation may take; 0: half of what is free.
        approximate: take the norms' statistics from a small copy of the image: one sweep.
        scratch: folder of files for what memory does not hold.
        dtype: of values that are kept between sweeps.
    """

    side: int = 0
    memory: int = 0
    approximate: bool = False
    scratch: str = field(default_factory=tempfile.gettempdir)
    dtype: torch.dtype = torch.float32

    @classmethod
    def of(cls, tile: str, memory_gb: float, approximate: bool) -> Tiling | None:
        """From the flags `--tile`, `--tile_memory` and `--tile_approximate`; None: no tiles."""
        if tile == "off":
            return None
        side = 0 if tile == "auto" else int(tile)
        return cls(side, int(memory_gb * 2**30), approximate)

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
        program = record(net, shape, **options)
        self.needed[shape] = whole_bytes(program)
        return program if forced or self.needed[shape] > room else None


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
    ):
        statistics = None
        if tiling.approximate:
            statistics = _thumbnail_statistics(net, program, device, source, **options)
        rules = tile_rules(program, tiling, device, keep=statistics is None)
        forward = TiledForward(program, source, device, rules, statistics)
        forward.run(lambda region, tile: sink(region, tile.float()))


def tile_rules(
    program: Program, tiling: Tiling, device: torch.device, keep: bool = True
) -> TileRules:
    """Tiles and stores for a forward. Where neither memory nor disk hold the values between two
    sweeps, each sweep computes them anew."""
    room = tiling.room(device)
    largest = max(stored_bytes(step.shape, tiling.dtype) for step in program.steps)
    # Alive at once: in a chain two of the largest, with skips as much again.
    keep = keep and 4 * largest <= room // 2 + free_bytes(tiling.scratch)
    return TileRules(tiling.side, room, tiling.scratch, keep, tiling.dtype)


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

"""A network on an image of any size in bounded memory.

The forward's values are computed one after the other, each over the whole image in tiles. A norm's
statistics belong to the whole image, and so does all that they depend on: they are summed over all
tiles of the value before it, in float64, before anything behind the norm is computed. What a tile
needs around it is read from the values before; nothing is blended, and nothing differs from the
network on the whole image but the order of sums.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch

from models.tiles.local import Noise, Norm, Region
from models.tiles.record import Program
from models.tiles.store import Store, stored_bytes

Statistics = tuple[torch.Tensor, torch.Tensor]  # mean and variance of each channel, (C,)
Source = Callable[[Region], torch.Tensor]  # a part of the image, (1, C, h, w), float32
Sink = Callable[[Region, torch.Tensor], None]  # takes a part of the output

SIDES = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096, 8192)  # of tiles, px
STRIP_PX = 4096  # that are summed in float32


@dataclass(frozen=True)
class TileRules:
    """How tiles are made.

    Args:
        side: px of a tile; 0: the largest that memory allows.
        memory: bytes that tiles and kept values may take together.
        folder: of scratch files, for values that memory does not hold.
        keep: whether values are kept between sweeps; if not, each sweep computes from the image.
        dtype: in which values are kept.
    """

    side: int = 0
    memory: int = 2**31
    folder: str = "/tmp"
    keep: bool = True
    dtype: torch.dtype = torch.float32


class Sums:
    """Mean and variance of each channel over all parts of a value."""

    def __init__(self) -> None:
        self.count, self.sum, self.squares = 0, 0.0, 0.0

    def add(self, tile: torch.Tensor) -> None:
        """Count a part in, (1, C, h, w).

        torch's sums of channels_last images in float32 lose digits with each pixel, and in float64
        they take as long as a convolution: strips are summed in float32, and added in float64.
        """
        tile = tile.float()
        rows = max(1, STRIP_PX // tile.shape[3])
        parts = [_moments(strip) for strip in tile.split(rows, 2)]
        px = torch.tensor([[strip.shape[2] * strip.shape[3]] for strip in tile.split(rows, 2)],
                          dtype=torch.float64, device=tile.device)  # fmt: skip
        mean, variance = (torch.stack(each).double() for each in zip(*parts, strict=True))
        self.count += tile.shape[2] * tile.shape[3]
        self.sum = self.sum + (px * mean).sum(0)
        self.squares = self.squares + (px * (variance + mean.square())).sum(0)

    def statistics(self) -> Statistics:
        """(C,) float32 each; the variance is biased, as norms take it."""
        mean = self.sum / self.count
        variance = (self.squares / self.count - mean.square()).clamp(min=0)
        return mean.float(), variance.float()


def _moments(strip: torch.Tensor) -> Statistics:
    """Of (1, C, h, w); on a CPU torch's batch norm finds them ten times as fast as its mean."""
    if strip.device.type == "cpu":
        return torch.batch_norm_update_stats(strip, None, None, 0.0)
    variance, mean = torch.var_mean(strip, (0, 2, 3), correction=0)
    return mean, variance


class Sweep(NamedTuple):
    """Values that are computed in one sweep over the image, all of one height and width."""

    values: list[int]
    reads: frozenset[int]  # values that it takes from stores


def regions_for(
    program: Program, wanted: dict[int, Region], kept: Iterable[int]
) -> dict[int, Region]:
    """The part of each value that wanted parts need, themselves among them.

    Args:
        wanted: value -> its part.
        kept: values that are not computed, but read; the image is one of them.
    """
    regions, kept = dict(wanted), {0, *kept} - wanted.keys()
    for value in range(max(wanted), 0, -1):
        if value in regions and value not in kept:
            step = program.steps[value - 1]
            needed = step.local.needs(regions[value])
            for taken in step.inputs:
                regions[taken] = regions[taken].united(needed) if taken in regions else needed
    return regions


class TiledForward:
    """A recorded forward on one image, sweep after sweep.

    Args:
        program: the forward.
        source: gives parts of the image.
        device: that computes.
        rules: how tiles are made.
        statistics: of norms' inputs, where they are known already (an approximation).
    """

    def __init__(
        self, program: Program, source: Source, device: torch.device, rules: TileRules,
        statistics: dict[int, Statistics] | None = None,
    ) -> None:  # fmt: skip
        self.program, self.source, self.device, self.rules = program, source, device, rules
        self.statistics = dict(statistics or {})
        self.noise: dict[int, torch.Tensor] = {}
        self.stores: dict[int, Store] = {}
        steps = enumerate(program.steps, 1)
        self.normed = {step.inputs[0] for _, step in steps if isinstance(step.local, Norm)}

    def run(self, sink: Sink) -> None:
        """Compute everything; parts of the output go to `sink`."""
        sweeps = self.plan()
        last_read = {value: i for i, sweep in enumerate(sweeps) for value in sweep.reads}
        try:
            for i, sweep in enumerate(sweeps):
                self._open_stores(sweep, last_read)
                self._sweep(sweep, sink)
                for value in [v for v in self.stores if last_read[v] <= i]:
                    self.stores.pop(value).close()
        finally:
            for store in self.stores.values():
                store.close()

    def plan(self) -> list[Sweep]:
        """Sweeps in their order: for each norm's input, for values that several steps take, and for
        the output. Those of one size that do not wait for each other's statistics share a sweep."""
        program, normed = self.program, self.normed - self.statistics.keys()
        kept = set()
        if self.rules.keep:
            forks = {v for v in range(1, len(program.steps)) if len(program.users(v)) > 1}
            kept = (normed | forks) - {0}
        sweeps: list[Sweep] = []
        for value in sorted(kept | normed | {program.output}):
            together = [*sweeps[-1].values, value] if sweeps else [value]
            if not sweeps or not self._share(together):
                together = [value]
            else:
                sweeps.pop()
            sweeps.append(Sweep(together, self._reads(together, kept)))
        self.kept = {v for v in kept if any(v in sweep.reads for sweep in sweeps)}
        return sweeps

    def _share(self, values: list[int]) -> bool:
        sizes = {self.program.shape(value)[2:] for value in values}
        wanted = {value: Region.whole(self.program.shape(value)) for value in values}
        computed = regions_for(self.program, wanted, ())
        waits = {self.program.steps[v - 1].inputs[0] for v in computed
                 if v and isinstance(self.program.steps[v - 1].local, Norm)}  # fmt: skip
        return len(sizes) == 1 and not waits & set(values) - self.statistics.keys()

    def _reads(self, values: list[int], kept: set[int]) -> frozenset[int]:
        wanted = {value: Region.whole(self.program.shape(value)) for value in values}
        found = regions_for(self.program, wanted, kept - set(values))
        return frozenset(found) & (kept - set(values))

    def _open_stores(self, sweep: Sweep, last_read: dict[int, int]) -> None:
        """Memory for what a sweep computes and later ones read; on the disk where it is large."""
        for value in set(sweep.values) & last_read.keys():
            shape, rules = self.program.shape(value), self.rules
            used = sum(stored_bytes(self.program.shape(v), rules.dtype)
                       for v, store in self.stores.items() if store.file is None)  # fmt: skip
            fits = used + stored_bytes(shape, rules.dtype) <= rules.memory // 2
            folder = None if fits else rules.folder
            self.stores[value] = Store(shape, rules.dtype, self.device, folder)

    def _sweep(self, sweep: Sweep, sink: Sink) -> None:
        self._draw(max(sweep.values))
        sums = {value: Sums() for value in sweep.values
                if value in self.normed and value not in self.statistics}  # fmt: skip
        for region in self.tiles(sweep):
            tiles = self._compute(dict.fromkeys(sweep.values, region))
            for value, tile in tiles.items():
                if value in self.stores:
                    self.stores[value].write(region, tile)
                if value in sums:
                    sums[value].add(tile)
                if value == self.program.output:
                    sink(region, tile)
        self.statistics |= {value: found.statistics() for value, found in sums.items()}

    def _draw(self, last: int) -> None:
        """The noise of all dropout up to a value, in the order of the forward."""
        for value, step in enumerate(self.program.steps[:last], 1):
            if isinstance(step.local, Noise) and value not in self.noise:
                self.noise[value] = step.local.draw(step.shape).bool()

    def tiles(self, sweep: Sweep) -> Iterator[Region]:
        """Parts of the sweep's values, which together are all of them."""
        _, _, height, width = self.program.shape(sweep.values[0])
        side = self.rules.side or self._largest_side(sweep, height, width)
        for top, left in itertools.product(range(0, height, side), range(0, width, side)):
            yield Region(top, min(top + side, height), left, min(left + side, width))

    def _largest_side(self, sweep: Sweep, height: int, width: int) -> int:
        """px of tiles that take no more than half of the memory."""
        best = SIDES[0]
        for side in SIDES:
            top, left = (
                max(0, (px - side) // 2) for px in (height, width)
            )  # the worst: all around
            tile = Region(top, min(top + side, height), left, min(left + side, width))
            parts = regions_for(self.program, dict.fromkeys(sweep.values, tile), self.stores)
            numbers = sum(self.program.shape(v)[1] * part.px for v, part in parts.items())
            if 4 * numbers > self.rules.memory // 2:
                break
            best = side
        return best

    def _compute(self, wanted: dict[int, Region]) -> dict[int, torch.Tensor]:
        """Parts of values, from the stores and the image."""
        kept = self.stores.keys() - wanted.keys()
        regions = regions_for(self.program, wanted, kept)
        left = {value: sum(user in regions for user in self.program.users(value))
                for value in regions}  # fmt: skip
        tiles: dict[int, torch.Tensor] = {}
        for value in sorted(regions):
            region = regions[value]
            if value in kept:
                tiles[value] = self.stores[value].read(region)
            elif not value:
                tiles[value] = self.source(region)
            else:
                tiles[value] = self._step(value, region, regions, tiles)
                for taken in self.program.steps[value - 1].inputs:
                    left[taken] -= 1
                    if not left[taken] and taken not in wanted:
                        tiles.pop(taken, None)
        return {value: regions[value].cut(tiles[value], region) for value, region in wanted.items()}

    def _step(
        self, value: int, region: Region, regions: dict[int, Region], tiles: dict[int, torch.Tensor]
    ) -> torch.Tensor:
        step = self.program.steps[value - 1]
        needed = step.local.needs(region)
        inputs = [regions[taken].cut(tiles[taken], needed) for taken in step.inputs]
        extra = None
        if isinstance(step.local, Norm):
            extra = self.statistics[step.inputs[0]]
        elif isinstance(step.local, Noise):
            extra = self.noise[value]
        return step.local.run(inputs, region, extra)

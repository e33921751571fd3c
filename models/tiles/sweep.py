"""A network on an image of any size in bounded memory.

The forward's values are computed one after the other, each over the whole image in tiles. A norm's
statistics belong to the whole image, and so does all that they depend on: they are summed over all
tiles of the value before it, in float64, before anything behind the norm is computed. What a tile
needs around it is read from the values before; nothing is blended, and nothing differs from the
network on the whole image but the order of sums.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from models.compute.norms import Statistics, Sums
from models.tiles.local import Noise, Norm, Region
from models.tiles.plan import Planner, Room, Sweep, last_reads, regions_for
from models.tiles.record import Program
from models.tiles.store import Store, stored_bytes
from util.errors import warn

Source = Callable[[Region], torch.Tensor]  # a part of the image, (1, C, h, w), float32
Sink = Callable[[Region, torch.Tensor], None]  # takes a part of the output

LONG = 1.5  # times as long as with enough room: worth a word


@dataclass(frozen=True)
class TileRules:
    """How tiles are made.

    Args:
        side: px of a tile; 0: the largest that memory allows.
        memory: bytes that tiles and kept values may take together.
        folder: of scratch files, for values that memory does not hold.
        disk: bytes that scratch files may take; what neither holds is computed anew.
        dtype: in which values are kept.
    """

    side: int = 0
    memory: int = 2**31
    folder: str = "/tmp"
    disk: int = 2**60
    dtype: torch.dtype = torch.float32


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
        self.noise: dict[int, np.ndarray | None] = {}
        self.stores: dict[int, Store] = {}
        room = Room(rules.memory, rules.disk, rules.dtype)
        self.planner = Planner(program, self.statistics, room, rules.side)

    def run(self, sink: Sink, told: Callable[[float], object] = lambda share: None) -> None:
        """Compute everything.

        Args:
            sink: takes parts of the output.
            told: is called after each tile, with its share of the work.
        """
        sweeps = self.planner.best()
        self._tell_of_room(sweeps)
        last_read = last_reads(sweeps)
        work = sum(self.planner.tile_work(sweep)[1] for sweep in sweeps)
        noisy = [self._noisy(sweep) for sweep in sweeps]
        try:
            for i, sweep in enumerate(sweeps):
                self._open_stores(sweep, last_read)
                share = self.planner.tile_work(sweep)[1] / work
                self._sweep(sweep, sink, lambda part, share=share: told(part * share))
                for value in [v for v in self.stores if last_read[v] <= i]:
                    self.stores.pop(value).close()
                for value in self.noise.keys() - set().union(*noisy[i + 1 :]):
                    self.noise[value] = None  # drawn, and not needed any more
        finally:
            for store in self.stores.values():
                store.close()

    def _tell_of_room(self, sweeps: list[Sweep]) -> None:
        size, times = self.planner.wanting(sweeps)
        if times > LONG:
            warn(
                f"{self.rules.folder}: {self.rules.disk / 2**30:.1f} GiB for scratch files; what "
                f"they do not hold is computed again, which takes {times:.0f} times as long as "
                f"with {size / 2**30:.1f} GiB: --tile_scratch DIR, or --tile_precision bf16"
            )

    def _open_stores(self, sweep: Sweep, last_read: dict[int, int]) -> None:
        """Memory for what a sweep computes and later ones read; on the disk where it is large."""
        for value in set(sweep.values) & last_read.keys():
            shape, rules = self.program.shape(value), self.rules
            used = sum(stored_bytes(self.program.shape(v), rules.dtype)
                       for v, store in self.stores.items() if store.file is None)  # fmt: skip
            fits = used + stored_bytes(shape, rules.dtype) <= rules.memory // 2
            folder = None if fits else rules.folder
            self.stores[value] = Store(shape, rules.dtype, self.device, folder)

    def _sweep(self, sweep: Sweep, sink: Sink, told: Callable[[float], object]) -> None:
        self._draw(max(sweep.values))
        sums = {value: Sums() for value in sweep.values if value in self.planner.unknown}
        px = Region.whole(self.program.shape(sweep.values[0])).px
        for region in self.tiles(sweep):
            tiles = self._compute(dict.fromkeys(sweep.values, region))
            for value, tile in tiles.items():
                if value in self.stores:
                    self.stores[value].write(region, tile)
                if value in sums:
                    sums[value].add(tile)
                if value == self.program.output:
                    sink(region, tile)
            told(region.px / px)
        self.statistics |= {value: found.statistics() for value, found in sums.items()}

    def _noisy(self, sweep: Sweep) -> set[int]:
        """The dropout that a sweep computes."""
        wanted = {v: Region.whole(self.program.shape(v)) for v in sweep.values}
        computed = regions_for(self.program, wanted, sweep.reads).keys() - sweep.reads - {0}
        return {v for v in computed if isinstance(self.program.steps[v - 1].local, Noise)}

    def _draw(self, last: int) -> None:
        """The noise of all dropout up to a value, in the order of the forward."""
        for value, step in enumerate(self.program.steps[:last], 1):
            if isinstance(step.local, Noise) and value not in self.noise:
                self.noise[value] = step.local.bits(step.shape)

    def tiles(self, sweep: Sweep) -> Iterator[Region]:
        """Parts of the sweep's values, which together are all of them."""
        _, _, height, width = self.program.shape(sweep.values[0])
        side = self.planner.tile_work(sweep)[0]
        for top, left in itertools.product(range(0, height, side), range(0, width, side)):
            yield Region(top, min(top + side, height), left, min(left + side, width))

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

"""In which sweeps over an image a recorded forward is computed, and what is kept between them.

A norm's statistics want a sweep over all of its input. What a later sweep reads again is kept, in
memory or on the disk, or computed once more from what is kept before it: which of the two is
cheaper depends on the value. The first convolution of a ResNet takes as long as to write what it
gives, and four times the room of all that follows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from models.tiles.local import Norm, Region
from models.tiles.record import Program
from models.tiles.store import stored_bytes

SIDES = (64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)  # of tiles, px
# What else takes time, in multiplications of a convolution, for each number:
POINTWISE = 20  # a pass over it, of a norm or an activation
IN_MEMORY, ON_DISK = 10, 256  # to keep it, or to read it again; disks are slow, and full


class Sweep(NamedTuple):
    """Values that are computed in one sweep over the image, all of one height and width."""

    values: tuple[int, ...]
    reads: frozenset[int]  # values that it takes from stores


@dataclass(frozen=True)
class Room:
    """What a forward may take.

    Args:
        memory: bytes of tiles and of what is kept in memory, together.
        disk: bytes of scratch files.
        dtype: in which values are kept.
    """

    memory: int
    disk: int
    dtype: torch.dtype


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


class Planner:
    """Finds the sweeps of a forward.

    Args:
        program: the forward.
        known: values whose statistics are known already.
        room: that there is.
        side: px of tiles; 0: as large as memory allows.
    """

    def __init__(self, program: Program, known: Iterable[int], room: Room, side: int = 0) -> None:
        self.program, self.room, self.side = program, room, side
        steps = program.steps
        self.normed = {step.inputs[0] for step in steps if isinstance(step.local, Norm)}
        self.unknown = self.normed - set(known)
        forks = {v for v in range(1, len(steps)) if len(program.users(v)) > 1}
        self.useful = frozenset((self.normed | forks) - {0, program.output})
        self._costs: dict[Sweep, tuple[int, float]] = {}  # of `tile_work`

    def best(self) -> list[Sweep]:
        """The sweeps that take the least time of those for which there is room; without any room
        each computes from the image."""
        kept, in_memory = self.useful, self.room.memory // 2
        if self.kept_bytes(self.sweeps(kept)) <= in_memory:
            most = self.sweeps(kept)
            alone = self.sweeps(frozenset())  # one pass, where no statistics are wanted
            return min(most, alone, key=lambda sweeps: self.work(sweeps, IN_MEMORY))
        for value in sorted(kept, key=lambda v: -self._bytes(v)):
            kept = min(kept, kept - {value}, key=self._disk_work)
        kept = min(kept, frozenset(), key=self._disk_work)
        while kept and self.kept_bytes(self.sweeps(kept)) > in_memory + self.room.disk:
            kept = min((kept - {value} for value in kept), key=self._price)
        return self.sweeps(kept)

    def wanting(self, sweeps: list[Sweep]) -> tuple[int, float]:
        """(bytes that scratch files would take if they had all the room that they could use, how
        many times as long the sweeps take without)."""
        roomy = Planner(self.program, self.normed - self.unknown,
                        Room(self.room.memory, 2**62, self.room.dtype), self.side)  # fmt: skip
        most = roomy.best()
        return roomy.kept_bytes(most), self.work(sweeps, ON_DISK) / self.work(most, ON_DISK)

    def _disk_work(self, kept: frozenset[int]) -> float:
        return self.work(self.sweeps(kept), ON_DISK)

    def _price(self, kept: frozenset[int]) -> tuple[int, float]:
        """Room first, to within a sixteenth of what there is."""
        sweeps = self.sweeps(kept)
        over = self.kept_bytes(sweeps) - self.room.memory // 2 - self.room.disk
        return max(0, 16 * over // max(1, self.room.disk)), self.work(sweeps, ON_DISK)

    def sweeps(self, kept: frozenset[int]) -> list[Sweep]:
        """For each norm's input, for values that are kept, and for the output, in their order.
        Those of one size that do not wait for each other's statistics share a sweep."""
        together: list[list[int]] = []
        for value in sorted(kept | self.unknown | {self.program.output}):
            if together and self._share([*together[-1], value]):
                together[-1].append(value)
            else:
                together.append([value])
        found = [Sweep(tuple(values), self._reads(values, kept)) for values in together]
        read = {value for sweep in found for value in sweep.reads}
        wanted = read | self.unknown | {self.program.output}
        return [sweep for sweep in found if wanted & set(sweep.values)]

    def _share(self, values: list[int]) -> bool:
        """Whether one sweep gives them all: they have one size, and none of them waits for the
        statistics of another."""
        waits = {self.program.steps[v - 1].inputs[0]
                 for v in self._behind(values, frozenset())
                 if v and isinstance(self.program.steps[v - 1].local, Norm)}  # fmt: skip
        sizes = {self.program.shape(value)[2:] for value in values}
        return len(sizes) == 1 and not waits & set(values) & self.unknown

    def _reads(self, values: list[int], kept: frozenset[int]) -> frozenset[int]:
        others = kept - set(values)
        return others & self._behind(values, others)

    def _behind(self, values: list[int], kept: frozenset[int]) -> set[int]:
        """Values, and what they are computed from, back to the image or to what is kept."""
        found, left = set(), list(values)
        while left:
            value = left.pop()
            if value not in found:
                found.add(value)
                if value and value not in kept:
                    left += self.program.steps[value - 1].inputs
        return found

    def _bytes(self, value: int) -> int:
        return stored_bytes(self.program.shape(value), self.room.dtype)

    def kept_bytes(self, sweeps: list[Sweep]) -> int:
        """The most that is kept at once."""
        last = last_reads(sweeps)
        most, alive = 0, set()
        for number, sweep in enumerate(sweeps):
            alive |= {value for value in sweep.values if value in last}
            most = max(most, sum(map(self._bytes, alive)))
            alive -= {value for value in alive if last[value] <= number}
        return most

    def work(self, sweeps: list[Sweep], keeping: int) -> float:
        """About how long sweeps take, in multiplications of a convolution.

        Args:
            keeping: what it costs to keep a number, or to read it.
        """
        last, total = last_reads(sweeps), 0.0
        for sweep in sweeps:
            written = [self.program.shape(v) for v in sweep.values if v in last]
            total += self.tile_work(sweep)[1]
            total += keeping * sum(torch.Size(shape).numel() for shape in written)
            total += keeping * sum(torch.Size(self.program.shape(v)).numel() for v in sweep.reads)
        return total

    def tile_work(self, sweep: Sweep) -> tuple[int, float]:
        """(px of a tile's side, multiplications of the sweep's layers)."""
        if sweep not in self._costs:
            _, _, height, width = self.program.shape(sweep.values[0])
            side = self.side or SIDES[0]
            parts = self._parts(sweep, side)
            for larger in SIDES[1:] if not self.side else ():
                found = self._parts(sweep, larger)
                if self.tile_bytes(sweep, found) > self.room.memory // 4 or side >= max(
                    height, width
                ):
                    break
                side, parts = larger, found
            work = sum(part.px * self._per_px(v) for v, part in parts.items()
                       if v and v not in sweep.reads)  # fmt: skip
            tile_px = min(side, height) * min(side, width)
            self._costs[sweep] = side, work * height * width / tile_px
        return self._costs[sweep]

    def _per_px(self, value: int) -> float:
        return self.program.steps[value - 1].local.work + POINTWISE * self.program.shape(value)[1]

    def _parts(self, sweep: Sweep, side: int) -> dict[int, Region]:
        """What a tile in the middle needs, which has neighbours all around."""
        _, _, height, width = self.program.shape(sweep.values[0])
        top, left = (max(0, (px - side) // 2) for px in (height, width))
        tile = Region(top, min(top + side, height), left, min(left + side, width))
        return regions_for(self.program, dict.fromkeys(sweep.values, tile), sweep.reads)

    def tile_bytes(self, sweep: Sweep, parts: dict[int, Region]) -> int:
        """The most that a tile's values take at once; layers copy what they take and give."""
        size = {value: 4 * part.px * self.program.shape(value)[1] for value, part in parts.items()}
        users = {value: sum(user in parts for user in self.program.users(value)) for value in parts}
        alive = most = 0
        for value in sorted(parts):
            alive += size[value]
            taken = self.program.steps[value - 1].inputs if value else ()
            taken = () if value in sweep.reads else taken
            most = max(most, alive + size[value] + sum(size[one] for one in taken))
            for one in taken:
                users[one] -= 1
                alive -= size[one] if not users[one] and one not in sweep.values else 0
        return most


def last_reads(sweeps: list[Sweep]) -> dict[int, int]:
    """Value -> the number of the last sweep that reads it."""
    return {value: number for number, sweep in enumerate(sweeps) for value in sweep.reads}

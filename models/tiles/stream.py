"""One image through a network part by part: neither it nor its translation is ever whole as floats.

translate_parts(one, shape, read, write, device, sides)
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from models.padding import centred, mirrored, padded_size
from models.tiles.form import InTiles, run
from models.tiles.local import Picked, Region
from models.translation import OneNetwork

Read = Callable[[Region], torch.Tensor]  # a part of the image, (1, C, h, w) in [-1, 1], on the CPU
# Takes a part of the translation, (1, C, h, w) in [-1, 1], on the CPU, and (H, W) px of all of it.
Write = Callable[[Region, torch.Tensor, tuple[int, int]], None]


def translate_parts(
    one: OneNetwork, shape: tuple[int, ...], read: Read, write: Write, device: torch.device,
    sides: tuple[int, int],
) -> bool:  # fmt: skip
    """Translate an image in tiles, if it is large.

    Args:
        one: what is done with it.
        shape: (1, C, H, W) of the image, as `read` gives its parts.
        device: of the network.
        sides: (multiple, smallest) px that the network takes; padding is that of `pad_batch`.

    Returns: whether that was done; if not, nothing was.

    Raises:
        CannotTile: it has to be computed in tiles, and cannot be.
    """
    form = InTiles.of(one.net)
    size, target = tuple(shape[2:]), padded_size(shape[2:], *sides)
    program = form and form.program(one.net, (*shape[:2], *target), device, **one.options)
    if program is None:
        return False
    padding = Picked(*(mirrored(*both) for both in zip(size, target, strict=True)))
    made = tuple(program.shape(program.output)[2:])
    top, left, *whole = centred(size, target) if made == target else (0, 0, *made)
    box = Region(top, top + whole[0], left, left + whole[1])

    def source(region: Region) -> torch.Tensor:
        return padding.run([read(padding.needs(region))], region, None).to(device)

    def sink(region: Region, tile: torch.Tensor) -> None:
        inner = region.common(box)
        if inner.px:
            place = Region(*(side - start for side, start in zip(inner, (top, top, left, left),
                                                                 strict=True)))  # fmt: skip
            part = region.cut(tile, inner).cpu()
            write(place, one.finish(lambda: read(place), part), tuple(whole))

    run(one.net, program, form.tiling, device, source, sink, **one.options)
    return True

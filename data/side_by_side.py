"""Whether image files hold A and B side by side, as `--dataset_mode aligned` reads them."""

import os
import shlex

import numpy as np

from data.layout import Folders, Size, inner_domains, lettered, move, sizes_of
from data.pair_rules import SIDE_BY_SIDE, example, suggest_within
from util.errors import BadImage, UserError
from util.images.read import load_image
from util.record import counted

LOOKED_AT = 32  # headers
DECODED = 8
MOST_MOVES = 3  # that are typed out
SEAM = 3.0  # times as much as elsewhere, the values of neighbours differ where A ends and B begins


def refuse_singles(folder: str, paths: list[str]) -> None:
    """Raise UserError if images are never pairs: they lie in sub-folders of A and B, or none is
    wider than high and none has a seam in its middle.

    Args:
        folder: <dataroot>/<phase>.
        paths: the images in it.
    """
    sizes = sizes_of(paths, LOOKED_AT)
    inner = inner_domains(folder, paths)
    if not sizes or not inner and _some_wide(sizes):
        return
    doubles = [path for path, (width, height) in sizes.items() if width == 2 * height]
    some = list(sizes)[:: -(-len(sizes) // DECODED)]
    if 2 * len(doubles) > len(sizes) or 2 * sum(map(has_seam, some)) > len(some):
        return
    if inner and (all(lettered(*two) for two in inner) or not _some_wide(sizes)):
        A, B = inner[0]
        raise UserError(
            f"{A} and {B}: A and B lie in folders of their own, and no image is A|B; type: "
            f"{_moves(folder, inner)}; there --dataset_mode aligned pairs them by name, and "
            "unaligned, as of --model cycle_gan, takes them without pairs"
        )
    if _some_wide(sizes):
        return
    if rule := suggest_within(paths, folder):
        raise UserError(
            f"{os.path.join(folder, '')}: no image is A|B side by side, but names tell pairs, as "
            f"{example(rule, paths, folder, paths, folder)}: give --pairs '{rule}'"
        )
    path, (width, height) = next(iter(sizes.items()))
    raise UserError(
        f"{os.path.join(folder, '')}: no image is wider than high ({path} has {width}x"
        f"{height} px), so none is A|B side by side; pairs in two folders: {folder}A and {folder}B "
        "with equal names; single photographs: --model colorization, or --model cycle_gan with "
        f"two sets, {folder}A and {folder}B; if each is A|B all the same: --pairs {SIDE_BY_SIDE}"
    )


def _moves(folder: str, inner: list[Folders]) -> str:
    """What to type for folders of A and B, so that they come to lie in `folder`A and `folder`B."""
    told = []
    for two in inner[:MOST_MOVES]:
        below = os.path.relpath(os.path.dirname(two[0]), folder)
        places = [os.path.normpath(os.path.join(folder + side, below)) for side in "AB"]
        if below != os.curdir:
            told.append(shlex.join(["mkdir", "-p", *map(os.path.dirname, places)]))
        told.append(move(zip(two, places, strict=True)))
    more = len(inner) - MOST_MOVES
    return " && ".join(told) + f" (and so for {counted(more, 'folder')} more)" * (more > 0)


def _some_wide(sizes: dict[str, Size]) -> bool:
    return any(width > height for width, height in sizes.values())


def has_seam(path: str) -> bool:
    """Whether an image changes in its middle column as two pictures beside each other do."""
    try:
        values = np.asarray(load_image(path, "L"), np.float32)  # (H, W)
    except (BadImage, UserError):
        return False
    steps = np.abs(np.diff(values, axis=1)).mean(axis=0)
    middle = values.shape[1] // 2 - 1
    around = np.concatenate([steps[middle // 2 : middle - 1], steps[middle + 2 : 2 * middle]])
    return around.size > 0 and steps[middle] > SEAM * np.median(around) + 2

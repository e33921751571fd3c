"""Whether an export gives the pictures that the network gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from util.errors import UserError

MOST_VALUES, MOST_LEVELS = 1e-4, 1  # of the file's float values, 0 to 1; of 255 levels
Run = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # as of OnnxFile


class Difference(NamedTuple):
    """How far an export is from its network at most.

    values: of the float values, of which 0 is black and 1 white.
    levels: of a picture's 255.
    share: of levels that are not the same.
    """

    values: float
    levels: int
    share: float

    def describe(self) -> str:
        """For people, with what is allowed."""
        return (
            f"largest difference to the network: {self.values:.1e} in float (limit "
            f"{MOST_VALUES:g}), {self.levels} of 255 levels (limit {MOST_LEVELS}), which "
            f"{100 * self.share:.3f} % of them have"
        )

    def check(self) -> None:
        """Raise UserError if it is too large, or not a number."""
        if not (self.values <= MOST_VALUES and self.levels <= MOST_LEVELS):
            raise UserError(
                f"the export is not the network: {self.describe()}; nothing is written. Try "
                "the other --format, or other versions of the packages in requirements-export.txt"
            )


def difference(
    run: Run, reference: Callable[[np.ndarray], np.ndarray], batches: Iterable[np.ndarray]
) -> Difference:
    """The largest over batches of pictures.

    Args:
        reference: pictures (N, H, W, C) -> (N, H, W, C') in [-1, 1], each as if it were alone.
        batches: pictures as the export takes them.
    """
    values, levels, other, count = 0.0, 0, 0, 0
    for pictures in batches:
        expected = reference(pictures)
        made, found = run(pictures)
        if found.shape != expected.shape:
            raise UserError(
                f"the export is not the network: pictures of shape {pictures.shape} become "
                f"{found.shape}, by the network {expected.shape}; nothing is written"
            )
        values = np.fmax(values, np.abs(found - (expected + 1) / 2).max())
        values = values if np.isfinite(found).all() else np.nan
        apart = np.abs(_levels(made) - _levels((expected + 1) / 2))
        levels, other = max(levels, int(apart.max())), other + np.count_nonzero(apart)
        count += apart.size
        if np.isnan(values):
            break
    return Difference(float(values), levels, other / count)


def _levels(pictures: np.ndarray) -> np.ndarray:
    """Of 255, as int; floats are in [0, 1]."""
    if pictures.dtype != np.uint8:
        pictures = np.nan_to_num(pictures * 255.0).round().clip(0, 255)
    return pictures.astype(int)

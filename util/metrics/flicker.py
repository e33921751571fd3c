"""How much a translated video changes from frame to frame, compared with the video itself."""

import numpy as np


class Flicker:
    """mean |made[t] - made[t-1]| / mean |own[t] - own[t-1]|, over all values of all frames that
    have a frame before them.

    1: the translation changes as much as the video it is made of; 1.5: half as much again, which is
    flicker, or contrast that the translation adds; below 1: it is calmer. It knows nothing of
    motion: compare translations of one video, not of several.
    """

    def __init__(self) -> None:
        self._before: tuple[np.ndarray, np.ndarray] | None = None
        self._made = self._own = 0.0  # sums of absolute differences
        self._values = 0

    def update(self, made: np.ndarray, own: np.ndarray) -> None:
        """Take the next frame into account: its translation, and itself, (H, W, C) of one shape and
        type."""
        if self._before is not None:
            self._made += _change(made, self._before[0])
            self._own += _change(own, self._before[1])
            self._values += made.size
        self._before = made, own

    @property
    def changes(self) -> tuple[float, float]:
        """(of the translation, of the video): mean change of a value from frame to frame, in
        levels; 0 before the second frame."""
        return self._made / max(1, self._values), self._own / max(1, self._values)

    def compute(self) -> float:
        """The one over the other. Of a video that stands still it is 1 if its translation does too,
        else infinite."""
        made, own = self.changes
        if own == 0:
            return 1.0 if made == 0 else float("inf")
        return made / own


def _change(frame: np.ndarray, before: np.ndarray) -> float:
    """Sum of the absolute differences; whole numbers without a sign do not wrap."""
    difference = np.maximum(frame, before) - np.minimum(frame, before)
    return float(difference.sum(dtype=np.float64 if difference.dtype.kind == "f" else None))

"""Mean absolute error of pictures against their targets."""

import numpy as np

from util.metrics.base_metric import Metric


class L1Metric(Metric):
    """mean |fake - real| over all values of all pictures, in the units of the files.

    From 0 (equal) to the files' whole range: 255 for uint8, 65535 for uint16, unbounded for floats.
    Every value counts alike, so a large picture counts for more than a small one.
    """

    needs = "pairs"
    better = "lower"
    unit = "levels"

    def __init__(self) -> None:
        super().__init__()
        self.total, self.values = 0.0, 0

    def add(self, fake: np.ndarray, real: np.ndarray) -> None:
        """Sum up the absolute differences, (N, H, W, C) each."""
        self.total += float(np.abs(fake.astype(np.float64) - real).sum())  # uint8 would wrap
        self.values += fake.size

    def result(self) -> float:
        """The sum over the number of values."""
        return self.total / self.values

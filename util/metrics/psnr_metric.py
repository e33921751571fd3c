"""Peak signal-to-noise ratio of pictures against their targets."""

import math

import numpy as np

from util.metrics.per_picture import PerPicture


class PSNRMetric(PerPicture):
    """mean of 10 log10(range^2 / mean squared error) over pictures, on values as written.

    The error is taken over all values of a picture, colours together. Equal pictures have an
    infinite ratio, and so has a set with one of them. (The mean of ratios is not the ratio of the
    mean error, which some libraries compute over a batch.)
    """

    better = "higher"
    unit = "dB"

    def measure(self, fake: np.ndarray, real: np.ndarray, data_range: float) -> float:
        """The ratio of one picture, (H, W, C)."""
        error = float(np.mean((fake.astype(np.float64) - real) ** 2))
        return 10 * math.log10(data_range**2 / error) if error else math.inf

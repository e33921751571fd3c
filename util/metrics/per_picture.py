"""What the metrics share that have a figure for every picture, and whose figure is their mean."""

from abc import abstractmethod

import numpy as np

from util.errors import UserError
from util.metrics.base_metric import Metric


class PerPicture(Metric):
    """The mean of the pictures' own figures: every picture counts alike, however large it is.

    Args:
        data_range: of floats, the difference between their largest and their smallest possible
            value. Whole numbers have the range of their type: 255 for uint8, 65535 for uint16.

    Attributes:
        values: of the pictures so far, in their order.
    """

    needs = "pairs"

    def __init__(self, data_range: float | None = None) -> None:
        super().__init__()
        if data_range is not None and not 0 < data_range < float("inf"):
            raise UserError(f"data_range {data_range}: accepted: a finite number above 0")
        self.data_range = data_range
        self.values: list[float] = []

    @abstractmethod
    def measure(self, fake: np.ndarray, real: np.ndarray, data_range: float) -> float:
        """The figure of one picture, (H, W, C) of one shape and dtype."""

    def add(self, fake: np.ndarray, real: np.ndarray) -> None:
        """Measure each picture of a batch, (N, H, W, C) each."""
        known = self.range_of(fake.dtype)
        # All or none of a batch: one that cannot be measured leaves no half of it behind.
        self.values += [self.measure(*pair, known) for pair in zip(fake, real, strict=True)]

    def result(self) -> float:
        """The mean over pictures; infinite if one of them is."""
        return float(np.mean(self.values))

    def range_of(self, dtype: np.dtype) -> float:
        """The range of values of a type.

        Raises:
            UserError: floats whose range was not given.
        """
        if dtype.kind == "u":
            return float(np.iinfo(dtype).max)
        if self.data_range is None:
            raise UserError(
                f"pictures of {dtype}: their range is not known; accepted: uint8, uint16, or "
                "floats with data_range, e.g. 2.0 for values in [-1, 1]"
            )
        return self.data_range

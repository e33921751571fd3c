"""What every metric is made of; scripts/evaluate.py measures with those of pairs."""

from abc import ABC, abstractmethod
from typing import Literal

import numpy as np

from util.errors import UserError


class Metric(ABC):
    """A figure for how good pictures are: util/metrics/<name>_metric.py holds <Name>Metric.

    Pictures are told batch by batch, and the figure is asked for at the end. Packages that take
    long to import, or that may be missing, are imported inside a function.

    Attributes:
        needs: "pairs": each picture is compared with its own target, and both have one shape;
            "sets": two sets are compared, whatever their order and their numbers.
        better: which figures are better, "higher" or "lower" ones.
        unit: of the figure, e.g. "dB"; empty if it has none.
    """

    needs: Literal["pairs", "sets"]
    better: Literal["higher", "lower"]
    unit: str = ""

    def __init__(self) -> None:
        self.count = 0  # pictures of `fake` so far

    @abstractmethod
    def add(self, fake: np.ndarray, real: np.ndarray) -> None:
        """Measure a batch; see `update`, which has checked it."""

    @abstractmethod
    def result(self) -> float:
        """The figure over all that was added, which is at least one picture."""

    def update(self, fake: np.ndarray, real: np.ndarray) -> None:
        """Take a batch of pictures into account.

        Args:
            fake, real: (N, H, W, C) of one dtype, as read from files: uint8 and uint16 over their
                whole range, floats as they are. For "sets" the numbers N may differ.

        Raises:
            UserError: shapes or dtypes that cannot be compared.
        """
        shapes = f"{fake.shape} {fake.dtype} and {real.shape} {real.dtype}"
        if fake.ndim != 4 or real.ndim != 4:
            raise UserError(f"pictures of {shapes}: accepted: (N, H, W, C) each")
        if fake.dtype != real.dtype or fake.shape[3] != real.shape[3]:
            raise UserError(f"pictures of {shapes}: bring them to one depth and to equal channels")
        if self.needs == "pairs" and fake.shape != real.shape:
            raise UserError(f"pairs of {shapes}: each picture needs a target of its own size")
        if len(fake):
            self.add(fake, real)
            self.count += len(fake)

    def compute(self) -> float:
        """The figure over all batches.

        Raises:
            UserError: there were no pictures.
        """
        if not self.count:
            raise UserError("no pictures to measure; call update first")
        return float(self.result())

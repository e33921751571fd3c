"""What a live view of a training is told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from util.page import PageRow

NOT_LOSSES = {"epoch", "iters", "images", "lr", "time_s", "data_s", "peak_mib"}


@dataclass(frozen=True)
class RunInfo:
    """What a live view may tell of a run.

    Args:
        resumed: an earlier session goes on.
        options: flag -> value.
        networks: their layers, as text.
    """

    name: str
    folder: Path
    resumed: bool
    options: dict[str, Any]
    networks: str


def losses_of(record: dict[str, float | None]) -> dict[str, float | None]:
    """The losses of a record, without what stands beside them."""
    return {name: value for name, value in record.items() if name not in NOT_LOSSES}


class Tracker(Protocol):
    """A place where losses and pictures go; one file each, see docs/overview.md."""

    def log(self, record: dict[str, float]) -> None:
        """Take a line of losses.

        Args:
            record: as in metrics.jsonl: epoch, iters (images of this epoch), images (of the run),
                lr, time_s and data_s (seconds an image), peak_mib (see `util.training.pace`), and
                each loss by its name.
        """

    def show(self, row: PageRow, pictures: dict[str, np.ndarray]) -> None:
        """Take the pictures of a row, which may come again, brought up to date.

        Args:
            pictures: name -> (H, W, 3) uint8.
        """

    def close(self) -> None:
        """The training has ended, in whatever way."""

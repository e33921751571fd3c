"""What a live view of a training is told."""

from typing import Protocol

import numpy as np

from util.stage import Stage


class Tracker(Protocol):
    """A place where losses and pictures go; one file each, see docs/overview.md."""

    def log(self, record: dict[str, float]) -> None:
        """Take a line of losses.

        Args:
            record: as in metrics.jsonl: epoch, iters (images of this epoch), images (of the run),
                lr, time_s and data_s (seconds an image), and each loss by its name.
        """

    def show(self, stage: Stage, pictures: dict[str, np.ndarray]) -> None:
        """Take the pictures of a stage, which may come again, brought up to date.

        Args:
            pictures: name -> (H, W, 3) uint8.
        """

    def close(self) -> None:
        """The training has ended, in whatever way."""

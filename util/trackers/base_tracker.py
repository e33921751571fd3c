"""What every live view of a training is made of."""

import argparse
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from util.record import PageRow, Record, RunInfo


class Tracker(ABC):
    """A place where losses and pictures go: util/trackers/<name>_tracker.py holds <Name>Tracker.

    Its file is read for `--help`, so packages that take long to import, or that may be missing, are
    imported when they are used: inside a function, or by `util.lazy.Lazy`. Whatever a tracker
    raises is said once, and the training goes on; see `util.trackers.guard`.

    Attributes:
        package: that it needs and that may be missing.
        install: what to type then.
    """

    package = ""
    install = ""

    @staticmethod
    def add_flags(parser: argparse._ActionsContainer) -> None:
        """Add the tracker's own flags; train.py and test.py have them."""
        return

    @staticmethod
    def asked(values: Mapping[str, Any]) -> bool:
        """Whether a flag of its own asks for it, besides `--track`.

        Args:
            values: flag -> value, of all flags.
        """
        return False

    @staticmethod
    def settings(values: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the constructor besides the run.

        Args:
            values: flag -> value, of all flags.
        """
        return {}

    def __init__(self, run: RunInfo) -> None:
        """Begin, or go on with, the view of a run. May take long: it is no part of the training."""
        self.run = run

    @abstractmethod
    def log(self, record: Record) -> None:
        """Take a line of the log."""

    @abstractmethod
    def show(self, row: PageRow, pictures: dict[str, np.ndarray]) -> None:
        """Take a row of pictures, which may come again, brought up to date.

        Args:
            pictures: name -> (H, W, 3) uint8.
        """

    def close(self) -> None:  # noqa: B027  (optional)
        """The training has ended, in whatever way."""

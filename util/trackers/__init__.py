"""Live views elsewhere, one file each, found by name, never in the training's way."""

import argparse
import contextlib
import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

from util.errors import warn
from util.registry import Registry

registry = Registry("util.trackers", suffix="tracker", base="Tracker")


def add_tracker_flags(parser: argparse._ActionsContainer) -> None:
    """Add the flags that the trackers bring."""
    for name in registry.names():
        with _warning_of_faults(name):
            registry.find(name).add_flags(parser)


def asked_trackers(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The trackers that a run is to be shown in -> what `start_trackers` gives to their classes.

    Args:
        values: flag -> value, of all flags.
    """
    asked = {}
    for name in registry.names():
        with _warning_of_faults(name):
            tracker = registry.find(name)
            if name in values["track"] or tracker.asked(values):
                asked[name] = tracker.settings(values)
    return asked


def missing_packages(values: Mapping[str, Any]) -> Iterator[str]:
    """What is to be said of each tracker that is asked for and whose package is not installed.

    Args:
        values: flag -> value, of all flags.
    """
    for name in asked_trackers(values):
        tracker = registry.find(name)
        spec = importlib.util.find_spec(tracker.package) if tracker.package else None
        # A folder of this name, as W&B leaves one, is found too, but has no file.
        if tracker.package and (spec is None or spec.origin is None):
            yield (
                f"--track {name}: the package {tracker.package} is not installed, training goes on "
                f"without it; to install it: {tracker.install}"
            )


@contextlib.contextmanager
def _warning_of_faults(name: str) -> Iterator[None]:
    """Within, whatever the file of a tracker raises is told, and the tracker is left out."""
    try:
        yield
    except Exception as error:  # of a file that somebody has put there: anything
        told = str(error).split("\n")[0]
        warn(f"util/trackers/{name}_tracker.py cannot be used: {type(error).__name__}: {told}")

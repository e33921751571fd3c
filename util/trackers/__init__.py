"""Live views elsewhere, one file each, found by name, never in the training's way."""

import argparse
from collections.abc import Mapping
from typing import Any

from util.errors import warn
from util.registry import Registry

registry = Registry("util.trackers", suffix="tracker", base="Tracker")


def find_trackers() -> dict[str, type]:
    """Name -> class, of the trackers whose files can be read; others are told and left out."""
    found = {}
    for name in registry.names():
        try:
            found[name] = registry.find(name)
        except Exception as error:  # of a file that somebody has put there: anything
            told = str(error).split("\n")[0]
            warn(f"util/trackers/{name}_tracker.py cannot be used: {type(error).__name__}: {told}")
    return found


def add_tracker_flags(parser: argparse._ActionsContainer) -> None:
    """Add the flags that the trackers bring."""
    for tracker in find_trackers().values():
        tracker.add_flags(parser)


def asked_trackers(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The trackers that a run is to be shown in -> what `start_trackers` gives to their classes.

    Args:
        values: flag -> value, of all flags.
    """
    return {
        name: tracker.settings(values)
        for name, tracker in find_trackers().items()
        if name in values["track"] or tracker.asked(values)
    }

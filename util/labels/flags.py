"""What `--label_A` and `--label_B` lead to: classes, and the channels that follow from them."""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from util.direction import oriented
from util.errors import UserError, warn
from util.labels.table import Labels, numbered, read_table

NEAREST = "nearest"  # a flag without a value: scaled without mixing values, and no more
FLAGS = {"A": "label_A", "B": "label_B"}
CHANNELS = ("input_nc", "output_nc")


def decide(
    values: Mapping[str, Any],
    explicit: Container[str],
    from_run: Mapping[str, Any],
    idle: Container[str],
) -> tuple[dict[str, Labels], dict[str, int]]:
    """(side -> its classes; `input_nc` and `output_nc`, as far as they follow).

    Args:
        values: flag -> value, of all, "run_dir", and "trained", the run's own options.
        explicit: flags that somebody gave; from_run: those that the run's options decided.
        idle: flags that the dataset does not read.

    Raises:
        UserError: from `labels_of` and `channels`.
    """
    labels = labels_of(values, from_run, values["run_dir"], idle)
    direction = values["trained"].get("direction", values["direction"])  # of the run's numbers
    return labels, channels(labels, values, explicit, from_run, direction)


def labels_of(
    values: Mapping[str, Any], from_run: Mapping[str, Any], run_dir: str, idle: Container[str]
) -> dict[str, Labels]:
    """Side -> its classes, of the sides whose images are read as label maps.

    A run keeps the tables that it began with: a table is read from its folder where the flag is
    taken over from it.

    Args:
        values: flag -> value, of all; from_run: of those that a run's own options decided.
        idle: flags that the dataset does not read.

    Raises:
        UserError: there is no such table, or it is no table.
    """
    found = {}
    for side, flag in FLAGS.items():
        value = values[flag]
        if value in (None, NEAREST) or flag in idle:
            continue
        given, kept = f"--{flag} {value}", kept_table(run_dir, side)
        if isinstance(value, int):
            void = None if values["label_void"] == "none" else values["label_void"]
            found[side] = numbered(value, void, given)
        elif from_run.get(flag) != value or not kept.is_file():
            found[side] = read_table(value, given)
        else:
            found[side] = read_table(kept, given)
            if os.path.isfile(value) and read_table(value, given) != found[side]:
                warn(
                    f"{given}: it has changed since the run began, whose own copy, {kept}, is read"
                )
    return found


def kept_table(run_dir: str | Path, side: str) -> Path:
    """Where a run keeps the table of a side."""
    return Path(run_dir) / f"labels_{side}.json"


def save_tables(labels: Mapping[str, Labels], folder: Path) -> None:
    """Keep the tables that files gave, so that the run needs no file elsewhere."""
    for side, each in labels.items():
        if not each.numbered:
            kept_table(folder, side).write_text(each.to_json(), encoding="utf-8")


def channels(
    labels: Mapping[str, Labels],
    values: Mapping[str, Any],
    explicit: Container[str],
    from_run: Container[str],
    direction: str,
) -> dict[str, int]:
    """`input_nc` and `output_nc`, as far as they follow from label maps.

    Args:
        values: flag -> value; explicit: those that somebody gave; from_run: those of a run.
        direction: that the values belong to.

    Raises:
        UserError: they were given, and are others.
    """
    decided = {}
    for flag, side in zip(CHANNELS, oriented(direction, "A", "B"), strict=True):
        if side not in labels:
            continue
        count, given, now = labels[side].count, labels[side].given, values[flag]
        if flag in explicit and now != count:
            raise UserError(
                f"--{flag} {now}: images of {side} have {count} channels by {given}, one for each "
                f"class; leave --{flag} out, or give {count}"
            )
        if flag in from_run and now != count:
            raise UserError(
                f"{given}: {count} classes, but the network takes or gives {now} channels of "
                f"{side}; give what it was trained with"
            )
        decided[flag] = count
    return decided

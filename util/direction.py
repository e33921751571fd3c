"""Sides: what `--direction` means, and which side a picture is of."""

import re
from typing import TypeVar

T = TypeVar("T")
DIRECTIONS = ("AtoB", "BtoA")


def oriented(direction: str, a: T, b: T) -> tuple[T, T]:
    """(source, target) from what belongs to A and to B; its own inverse."""
    return (b, a) if direction == "BtoA" else (a, b)


KNOWN_SIDES = {"real": "A", "fake": "B"}  # of --model test


def side_of(visual: str, told: dict[str, str]) -> str | None:
    """The side whose depth and range a visual takes: "A", the source, or "B", the target.

    The model's word comes first (`BaseModel.visual_sides`), then the name: `fake_B`, `real_A`,
    `fake_B_rgb`, and `real` and `fake`. None: neither tells; it is taken for an output.
    """
    if visual in told:
        return told[visual]
    named = re.findall(r"_([AB])(?=_|$)", visual)
    return KNOWN_SIDES.get(visual) or ("B" if "B" in named else "A" if named else None)

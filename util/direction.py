"""What `--direction` means, in one place."""

from typing import TypeVar

T = TypeVar("T")
DIRECTIONS = ("AtoB", "BtoA")


def oriented(direction: str, a: T, b: T) -> tuple[T, T]:
    """(source, target) from what belongs to A and to B; its own inverse."""
    return (b, a) if direction == "BtoA" else (a, b)

"""Cases that take turns, so that a change of the machine's speed meets all of them."""

import statistics
import time
from collections.abc import Callable


def interleaved(cases: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each case in each round, after a first round that warms up."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(rounds + 1):
        for name, work in cases.items():
            started = time.perf_counter()
            work()
            if turn:
                times[name].append(time.perf_counter() - started)
    return times


def row(name: str, values: list[float], unit: str) -> str:
    """A line of the table: median, unit, and the spread from smallest to largest."""
    spread = f"{min(values):.3f}-{max(values):.3f}"
    return f"{name:<50} {statistics.median(values):7.3f} {unit}  ({spread})"


def ratios(base: list[float], other: list[float]) -> tuple[float, float, float]:
    """How many times faster `other` is: ratio of the medians, smallest and largest of a round."""
    each = [b / o for b, o in zip(base, other, strict=False)]
    return statistics.median(base) / statistics.median(other), min(each), max(each)

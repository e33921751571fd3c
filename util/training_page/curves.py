"""Lines of losses for a plot: at most so many points, however long the training."""

import contextlib
import json
import math
from pathlib import Path

MOST = 2000
LAST = ("epoch", "images", "lr")  # of several lines that become a point the last one counts
LEFT_OUT = ("iters", "peak_mib")

Values = list[float | None]  # in the order of `Curves.names`


class Curves:
    """Points of a plot; when there are MOST, each two neighbours become one.

    names: what a point's values are; points: oldest first, an older one may have fewer values;
    span: lines that a point is the mean of.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.points: list[Values] = []
        self.span = 1
        self.waiting: list[Values] = []  # lines of the point that is not complete

    def take(self, record: dict[str, float | None]) -> None:
        """A line of losses, as in metrics.jsonl; not every one makes a point."""
        self.names += [key for key in record if key not in (*self.names, *LEFT_OUT)]
        self.waiting.append([_short(record.get(name)) for name in self.names])
        if len(self.waiting) < self.span:
            return
        self.points.append(self._merged(self.waiting))
        self.waiting = []
        if len(self.points) == MOST:
            self.points = [self._merged(self.points[i : i + 2]) for i in range(0, MOST, 2)]
            self.span *= 2

    def take_file(self, log: Path) -> None:
        """All lines of a metrics.jsonl; one that was cut off while it was written is left out."""
        lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
        for line in lines:
            with contextlib.suppress(ValueError):
                self.take(json.loads(line))

    def _merged(self, points: list[Values]) -> Values:
        """Their mean, over the numbers that are finite."""
        if len(points) == 1:
            return points[0]
        merged: Values = []
        for i, name in enumerate(self.names):
            found = [p[i] for p in points if i < len(p) and p[i] is not None]
            if not found:
                merged.append(None)
            else:
                merged.append(found[-1] if name in LAST else _short(sum(found) / len(found)))
        return merged


def _short(value: float | None) -> float | None:
    """Five digits are more than a plot can show; None where there is no finite number."""
    if value is None or not math.isfinite(value):
        return None
    return value if isinstance(value, int) else float(f"{value:.5g}")

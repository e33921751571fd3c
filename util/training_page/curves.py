"""Points for the plots of a page: at most so many, however long the training."""

import math
from pathlib import Path

from util.record import Record, read_records

MOST = 2000

Values = list[float | None]  # in the order of `ThinnedCurves.columns`


class ThinnedCurves:
    """Points of a plot; when there are MOST, each two neighbours become one.

    columns: (part of the record, name) of a point's values, e.g. ("losses", "G_L1");
    points: oldest first, an older one may have fewer values;
    span: lines of the log that a point is the mean of.
    """

    def __init__(self) -> None:
        self.columns: list[tuple[str, str]] = []
        self.points: list[Values] = []
        self.span = 1
        self.waiting: list[Values] = []  # lines of the point that is not complete

    def add(self, record: Record) -> None:
        """A line of the log; not every one makes a point."""
        figures = {
            (part, name): value
            for part, named in record.parts().items()
            for name, value in named.items()
        }
        known = set(self.columns)
        self.columns += [column for column in figures if column not in known]
        self.waiting.append([_rounded(figures.get(column)) for column in self.columns])
        if len(self.waiting) < self.span:
            return
        self.points.append(self._merged(self.waiting))
        self.waiting = []
        if len(self.points) == MOST:
            self.points = [self._merged(self.points[i : i + 2]) for i in range(0, MOST, 2)]
            self.span *= 2

    def add_file(self, log: Path) -> None:
        """All records of a metrics.jsonl."""
        for record in read_records(log):
            self.add(record)

    def _merged(self, points: list[Values]) -> Values:
        """Their mean, over the numbers that are finite; of where the training stands the last."""
        if len(points) == 1:
            return points[0]
        merged: Values = []
        for i, (part, _) in enumerate(self.columns):
            found = [p[i] for p in points if i < len(p) and p[i] is not None]
            if not found:
                merged.append(None)
            else:
                merged.append(found[-1] if part == "step" else _rounded(sum(found) / len(found)))
        return merged


def _rounded(value: float | None) -> float | None:
    """Five digits are more than a plot can show; None where there is no finite number."""
    if value is None or not math.isfinite(value):
        return None
    return value if isinstance(value, int) else float(f"{value:.5g}")

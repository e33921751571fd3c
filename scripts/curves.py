"""The columns of metrics.jsonl, and what a training's curves are drawn over."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy

from util.errors import UserError, warn
from util.record import read_records

LARGEST = 1e306  # that is drawn
Column = dict[str, np.ndarray]  # name -> (N,) float64


@dataclass(frozen=True)
class Columns:
    """A log by columns, in the parts of its records: NaN where a line has null or nothing.

    Args:
        losses: of single steps.
        means: of the losses, over an epoch.
        weights: of the losses that carry one.
        over_epoch: (N,) bool, whether a line tells of an epoch.
    """

    step: Column
    speed: Column
    losses: Column
    means: Column
    metrics: Column
    weights: Column
    over_epoch: np.ndarray

    def __len__(self) -> int:
        """Lines."""
        return len(self.step.get("images", ()))

    def loss_names(self) -> list[str]:
        """Of the losses that have a value anywhere."""
        return list(dict.fromkeys([*self.losses, *self.means]))

    def loss(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A loss's curve: of single steps, or of the means of epochs where there are more of them,
        as of a run that is small, or logs seldom.

        Returns: (M,) the lines that it consists of, and (M,) its values.
        """
        none = np.full(len(self), np.nan)
        steps, means = self.losses.get(name, none), self.means.get(name, none)
        many = (~np.isnan(means)).sum() > (~np.isnan(steps)).sum()
        lines = np.flatnonzero(self.over_epoch == many)
        return lines, (means if many else steps)[lines]


def read_columns(file: Path) -> Columns:
    """A metrics.jsonl by columns; losses and metrics that have a value anywhere, in its order."""
    read = read_records(file)
    records = [record.parts() | {"weights": record.weights} for record in read]
    columns: dict[str, Column] = {}
    beyond = 0
    for part in ("step", "speed", "losses", "means", "metrics", "weights"):
        names = dict.fromkeys(name for record in records for name in record[part])
        named = {name: np.array([float(record[part].get(name, np.nan)) for record in records])
                 for name in names}  # fmt: skip
        beyond += sum(int((np.abs(values) > LARGEST).sum()) for values in named.values())
        named = {name: drawable(values) for name, values in named.items()}
        if part in ("losses", "means", "metrics"):
            named = {name: values for name, values in named.items() if not np.isnan(values).all()}
        columns[part] = named
    if beyond:
        warn(f"{file}: {beyond} numbers beyond {LARGEST:g} are gaps in the curves")
    over_epoch = np.array([record.over_epoch for record in read], dtype=bool)
    return Columns(**columns, over_epoch=over_epoch)


def drawable(values: np.ndarray) -> np.ndarray:
    """The same with NaN for what no axis has room for: what is infinite, or nearly."""
    return np.where(np.abs(values) <= LARGEST, values, np.nan)


def _new_images(columns: Columns) -> np.ndarray:
    """Images between a line and the one before. A run taken up from weights alone counts anew."""
    seen = columns.step["images"]
    new = np.diff(seen, prepend=0)
    return np.where(new < 0, seen, new)


def images(columns: Columns) -> np.ndarray:
    """Images seen in the run."""
    return np.cumsum(_new_images(columns))


def epochs(columns: Columns) -> np.ndarray:
    """Epochs done, with the fraction of the one at work."""
    epoch, iters, total = columns.step["epoch"], columns.step["iters"], images(columns)
    begins = total - iters  # images before the epoch
    later = np.diff(epoch) > 0
    sizes = np.diff(begins)[later] / np.diff(epoch)[later]
    size = np.median(sizes) if len(sizes) else iters.max()
    return epoch - 1 + np.minimum(iters / size, 1)


def hours(columns: Columns) -> np.ndarray:
    """Time of the steps, and of waiting for data."""
    speed = columns.speed
    per_image_s = np.nan_to_num(speed["time_s"]) + np.nan_to_num(speed["data_s"])
    return np.cumsum(_new_images(columns) * per_image_s) / 3600


AXES: dict[str, Callable[[Columns], np.ndarray]] = {
    "images": images, "epoch": epochs, "hours": hours,
}  # fmt: skip


def along(axis: str, columns: Columns, file: Path) -> np.ndarray:
    """(N,) positions of the lines on an axis; UserError if the log does not tell."""
    try:
        with np.errstate(all="ignore"):
            return drawable(AXES[axis](columns))
    except KeyError as missing:
        raise UserError(
            f"{file}: no {missing} in its lines, so --x {axis} cannot be drawn; try --x images"
        ) from None


def smoothed(values: np.ndarray, weight: float) -> np.ndarray:
    """Exponential moving average, corrected for its start; NaN stays and counts for nothing.

    Args:
        weight: of what came before, in [0, 1).
    """
    there, result = ~np.isnan(values), values.copy()
    sums = scipy.signal.lfilter([1 - weight], [1, -weight], values[there])
    result[there] = sums / (1 - weight ** np.arange(1, there.sum() + 1))
    return result


def thinned(x: np.ndarray, y: np.ndarray, pieces: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """A curve of at most two points a piece, its lowest and its highest, so that no peak is lost.

    Args:
        x, y: (N,) each.
    """
    if len(y) <= 2 * pieces:
        return x, y
    kept = []
    for piece in np.array_split(np.arange(len(y)), pieces):
        if np.isnan(y[piece]).all():
            kept += [piece[0]]
        else:
            kept += sorted({piece[np.nanargmin(y[piece])], piece[np.nanargmax(y[piece])]})
    return x[kept], y[kept]


@dataclass
class Panel:
    """Curves of several runs, drawn into one system of axes.

    Args:
        smooth: weight of what came before, in [0, 1).
        logged: run -> (N,) x and (N,) y, NaN for gaps.
    """

    title: str
    smooth: float
    logged: dict[str, tuple[np.ndarray, np.ndarray]]

    def smoothed(self, run: str) -> tuple[np.ndarray, np.ndarray]:
        """A run's x and smoothed y."""
        x, y = self.logged[run]
        return x, smoothed(y, self.smooth)

    def last(self, run: str) -> float:
        """The last smoothed value of a run; NaN if there is none."""
        y = self.smoothed(run)[1] if run in self.logged else np.array([])
        return float(y[~np.isnan(y)][-1]) if not np.isnan(y).all() else float("nan")

"""Compare trainings by their losses: one page and one PNG.

    python scripts/plot.py facades
    python scripts/plot.py checkpoints/facades facades_big --losses G_L1 D_real --smooth 0.95

A RUN is a folder, or a name in --checkpoints_dir; its metrics.jsonl is read, also while it trains.
FOLDER/index.html holds the curves, the last values, and the options that the runs differ in, and
FOLDER/plot.png the curves alone. Both are files that need nothing else.
"""

import argparse
import math
import sys
from argparse import Namespace
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _root

import numpy as np

import models
from options.saved import options_of
from options.train_options import lives_of_run
from scripts.curves import AXES, Columns, Panel, along, drawable, read_columns
from util.atomic import refuse_special
from util.errors import UserError, choose, did_you_mean, one_line_errors, readable, say, shown, warn


@dataclass
class Run:
    """One training's log.

    Args:
        x: (N,) where on the axis each line stands.
        options: as saved with the run.
    """

    folder: Path
    label: str
    columns: Columns
    x: np.ndarray
    options: dict[str, Any]

    def loss(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """x and y of a loss's curve, as it was logged."""
        lines, values = self.columns.loss(name)
        return self.x[lines], values

    def weights(self, name: str) -> np.ndarray | None:
        """(M,) what each y of a loss's curve is multiplied by; None if the run does not tell."""
        lines, _ = self.columns.loss(name)
        flags = weights_by_flags(self.options).get(name)
        if name not in self.columns.weights:
            return None if flags is None else np.full(len(lines), float(flags))
        told = self.columns.weights[name][lines]
        return np.where(np.isnan(told) & (flags is not None), flags or np.nan, told)

    def unweighted(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """x and y of a loss's curve without its weight; nothing is left of one that is 0."""
        (x, y), weights = self.loss(name), self.weights(name)
        with np.errstate(over="ignore"):
            plain = np.divide(y, weights, out=np.full_like(y, np.nan), where=weights != 0)
        return x, drawable(plain)


def weights_by_flags(options: dict[str, Any]) -> dict[str, float]:
    """The weights of a run's losses by its options, for a log that does not hold them; empty where
    its model is not there, or takes other flags."""
    if options.get("model") not in models.registry.names():
        return {}
    try:
        return models.find_model_using_name(options["model"]).loss_weights(Namespace(**options))
    except (AttributeError, TypeError):
        return {}


def parser() -> argparse.ArgumentParser:
    """The script's flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="a run's folder, or its name")
    add(
        "--checkpoints_dir",
        type=Path,
        default=Path("checkpoints"),
        help="where names are looked for",
    )
    add("--out", type=Path, default=Path("plots"), metavar="FOLDER", help="where the page goes")
    add(
        "--losses", nargs="+", metavar="LOSS", help="these only; default: all, learning rate, speed"
    )
    add("--smooth", type=float, default=0.9,
        help="weight of what came before in the smoothed curves; 0: none")  # fmt: skip
    add("--x", choices=list(AXES), default="images", help="what the curves are drawn over")
    return parser


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Plot; returns the exit code."""
    args = parser().parse_args(argv)
    if not 0 <= args.smooth < 1:
        raise UserError(f"--smooth {args.smooth:g}: accepted: from 0 to below 1")
    runs = read_runs([find_run(run, args.checkpoints_dir) for run in args.runs], args.x)
    panels, labels = choose_panels(runs, args.losses, args.smooth), [run.label for run in runs]
    try:
        from scripts import plotting as plots  # needs matplotlib, which nothing else does
    except ModuleNotFoundError as missing:
        raise UserError(f"{missing}; pip install -r requirements.txt") from None
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {args.out}: {error.strerror}; give another folder") from None
    plots.save_png(args.out / "plot.png", panels, labels, args.x)
    facts = {
        "losses": "as logged; unweighted where runs multiply them by different weights",
        "drawn over": args.x,
        "smoothed by": f"{args.smooth:g}; what was logged is pale",
    }
    tables = [last_values(runs, panels), differences(runs)]
    plots.save_page(args.out / "index.html", panels, labels, args.x, facts, tables)
    say(shown(f"{', '.join(labels)}: {args.out / 'index.html'}, {args.out / 'plot.png'}"))
    return 0


def find_run(given: str, checkpoints: Path) -> Path:
    """The folder with the log of a run; UserError with the nearest name if there is none."""
    path = Path(given)
    folder = path.parent if path.name == "metrics.jsonl" else path
    for place in (folder, checkpoints / given):
        refuse_special(place / "metrics.jsonl")
        if (place / "metrics.jsonl").is_file():
            return place
    near = [file.parent for root in {checkpoints, path.parent}
            for file in root.glob("*/metrics.jsonl")]  # fmt: skip
    found = did_you_mean(path.name, [folder.name for folder in near])
    names = ", ".join(sorted({folder.name for folder in near})[:8])
    known = found or (f"; runs there: {names}" if names else "; give the folder of a run")
    raise UserError(f"{given}: no run with a metrics.jsonl, there or in {checkpoints}{known}")


def read_runs(folders: list[Path], axis: str) -> list[Run]:
    """Each run once; those without losses are told and left out."""
    runs: dict[Path, Run] = {}
    names = Counter(folder.resolve().name for folder in {f.resolve(): f for f in folders}.values())
    for folder in folders:
        if (place := folder.resolve()) in runs:
            warn(f"{folder}: given twice, drawn once")
            continue
        columns = read_columns(folder / "metrics.jsonl")
        if not columns:
            warn(f"{folder}: no losses in its metrics.jsonl yet; left out")
            continue
        label = place.name if names[place.name] == 1 else str(folder)
        runs[place] = Run(
            folder,
            "".join(char if char.isprintable() else "?" for char in readable(label)),
            columns,
            along(axis, columns, folder / "metrics.jsonl"),
            options_of(folder) or {},
        )
    if not runs:
        raise UserError("nothing to draw: no run has losses yet; see --print_freq of train.py")
    return list(runs.values())


def choose_panels(runs: list[Run], wanted: list[str] | None, smooth: float) -> list[Panel]:
    """A panel for each loss, with the runs that have it; each metric, learning rate and speed."""
    every = {name: name for run in runs for name in run.columns.loss_names()}
    names = dict.fromkeys(choose("losses", name, every) for name in wanted or every)
    panels = []
    for name in names:
        having = [run for run in runs if name in run.columns.loss_names()]
        panels.append(Panel(name, smooth, {run.label: run.loss(name) for run in having}))
        if differently_weighted(having, name):
            plain = {run.label: run.unweighted(name) for run in having}
            panels.append(Panel(f"{name}, unweighted", smooth, plain))
    if not wanted:
        panels += metric_panels(runs)
        rates = {r.label: (r.x, r.columns.step["lr"]) for r in runs if "lr" in r.columns.step}
        speeds = {r.label: (r.x, speed(r.columns)) for r in runs if "time_s" in r.columns.speed}
        panels += [Panel("learning rate", 0, rates), Panel("images/s", smooth, speeds)]
    return panels


def differently_weighted(runs: list[Run], name: str) -> bool:
    """Whether a loss is multiplied by other weights in one run than in another: then it does not
    compare as it was logged. Says so where a run does not tell its weight."""
    told = {run.label: run.weights(name) for run in runs}
    known = [weights for weights in told.values() if weights is not None]
    silent = [label for label, weights in told.items() if weights is None]
    if known and silent:
        warn(f"{name}: compared as it was logged, times a weight that {', '.join(silent)} does not "
             "tell")  # fmt: skip
        return False
    return len({weight for weights in known for weight in weights}) > 1


def metric_panels(runs: list[Run]) -> list[Panel]:
    """A panel for each metric. It is measured now and then: a curve goes from one to the next."""
    names = dict.fromkeys(name for run in runs for name in run.columns.metrics)
    panels = []
    for name in names:
        logged = {}
        for run in runs:
            values = run.columns.metrics.get(name, np.array([np.nan]))
            there = ~np.isnan(values)
            if there.any():
                logged[run.label] = run.x[there], values[there]
        panels.append(Panel(f"{name} (metric)", 0, logged))
    return panels


def speed(columns: Columns) -> np.ndarray:
    """Images a second, waiting for data included; NaN where it is not known."""
    per_image_s = columns.speed["time_s"] + columns.speed.get("data_s", 0)
    return np.divide(1, per_image_s, out=np.full_like(per_image_s, np.nan), where=per_image_s > 0)


def last_values(runs: list[Run], panels: list[Panel]) -> tuple[str, list[list[str]]]:
    """A table: how far each run is, and where its curves end."""
    rows = [["", *(run.label for run in runs)], ["folder", *(str(run.folder) for run in runs)]]
    rows += [[axis, *(_last(run, axis) for run in runs)] for axis in AXES]
    for panel in panels:
        ends = [panel.last(run.label) for run in runs]
        rows.append([panel.title, *("–" if math.isnan(end) else f"{end:.4g}" for end in ends)])
    return "Last values, smoothed", rows


def _last(run: Run, axis: str) -> str:
    try:
        end = along(axis, run.columns, run.folder)[-1]
    except UserError:
        return "–"
    return f"{end:.0f}" if axis == "images" else f"{end:.2f}"


def compared(options: dict[str, Any]) -> list[str]:
    """The flags of a run that are worth comparing: not where it is, which is never the same."""
    lives = lives_of_run(options)
    return [flag for flag in options if flag not in lives or lives[flag].compared]


def differences(runs: list[Run]) -> tuple[str, list[list[str]]]:
    """A table of the options that the runs differ in."""
    flags = sorted({flag for run in runs for flag in compared(run.options)})
    rows = [["", *(run.label for run in runs)]]
    for flag in flags:
        values = [str(run.options.get(flag, "–")) for run in runs]
        if len(set(values)) > 1:
            rows.append([f"--{flag}", *values])
    return "Options that differ", rows


if __name__ == "__main__":
    sys.exit(main())

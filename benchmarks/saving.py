"""What saving and showing cost a training: steps alone, with a checkpoint or pictures that are
waited for, and with such that are written beside them, as a training does it.

    python benchmarks/saving.py [--rounds 5] [--images 400] [--device cpu]
    python benchmarks/saving.py --sizes       only what checkpoints take on the disk

Default networks at 256 px. A checkpoint is due every 5 epochs of --images images, every 5,000
images, and every 15 minutes, whichever comes first.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import _root

from benchmarks.timing import interleaved, row
from benchmarks.train_step import make, step
from models.base_model import BaseModel
from options.train_options import TrainOptions
from util.checkpoints.checkpoint import list_checkpoints
from util.checkpoints.plan import DiskUse, Sizes
from util.machine import memory
from util.record import RunInfo
from util.signals import SignalHandler
from util.training.checkpointer import Checkpointer, Progress
from util.training.nan_guard import NanGuard
from util.training.session import save_plan
from util.training.visualizer import Visualizer

MODELS = ("pix2pix", "cycle_gan")
WRITING_S = 4.0  # of steps beside a checkpoint at least, so that it can be written meanwhile
HANDED = "handing it over"


def checkpointer_of(model: BaseModel, folder: str) -> Checkpointer:
    """With the default plan, and a page beside it, in a folder of the model's name."""
    name = model.opt.model
    run = RunInfo(name, Path(folder, name))
    view, guard = Visualizer(run, 1), NanGuard(model, "stop", run.folder)
    plan = save_plan(TrainOptions().parse(["--dataroot", ".", "--checkpoints_dir", folder]))
    return Checkpointer(model, view, guard, Progress(size=100), SignalHandler(), plan, run)


def cases_of(model: BaseModel, folder: str, handed: list[float]) -> dict[str, Callable[[], None]]:
    """What happens in a case -> the case; all take the same number of steps.

    Args:
        model: has taken a step, so that its moments exist.
        handed: gains the seconds that each checkpoint beside the steps kept them.
    """
    checkpointer = checkpointer_of(model, folder)
    view = checkpointer.visualizer
    started = time.perf_counter()
    step(model)
    count = max(2, round(WRITING_S / (time.perf_counter() - started)))

    def steps(before: Callable[[], None] | None = None) -> None:
        if before is not None:
            before()
        for _ in range(count):
            step(model)
        view.writer.flush()

    def hand_over() -> None:
        began = time.perf_counter()
        checkpointer.save()
        handed.append(time.perf_counter() - began)

    def show(wait: bool) -> None:
        view.show(model, 1, save=True)
        if wait:
            view.writer.flush()

    return {
        f"{count} steps": steps,
        "and a checkpoint, waited for": partial(steps, partial(checkpointer.save, at_once=True)),
        "and a checkpoint beside them": partial(steps, hand_over),
        "and pictures, waited for": partial(steps, partial(show, wait=True)),
        "and pictures beside them": partial(steps, partial(show, wait=False)),
    }


def sizes(device: str = "auto") -> list[str]:
    """What a checkpoint of the default networks takes on the disk, and those of a default training
    of 200 epochs, as it is and with `--save_state all`."""
    lines = []
    for name in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            model = make(f"--model {name}", 256, device)
            step(model)
            checkpointer = checkpointer_of(model, folder)
            checkpointer.save(at_once=True)
            checkpointer.visualizer.writer.close()
            files = list_checkpoints(Path(folder, name))[0].files
        weights = sum(entry["bytes"] for file, entry in files.items() if file.startswith("net_"))
        each = Sizes(weights, sum(entry["bytes"] for entry in files.values()) - weights)
        plan = save_plan(TrainOptions().parse(["--dataroot", "."]))
        totals = [DiskUse(each, replace(plan, all_states=every), plan.numbered(200, 400),
                          Path(".")).total for every in (False, True)]  # fmt: skip
        lines.append(f"{name}: a checkpoint {each.whole / 1e6:.0f} MB, {weights / 1e6:.0f} MB of "
                     f"it weights; 200 epochs {totals[0] / 1e9:.1f} GB, with --save_state all "
                     f"{totals[1] / 1e9:.1f} GB")  # fmt: skip
    return lines


def measure(rounds: int, device: str = "auto") -> dict[str, list[float]]:
    """Case -> its seconds in each round."""
    with tempfile.TemporaryDirectory() as folder:
        cases, handed = {}, {name: [] for name in MODELS}
        for name in MODELS:
            model = make(f"--model {name}", 256, device)
            step(model)
            of_model = cases_of(model, folder, handed[name])
            cases |= {f"{name}: {what}": case for what, case in of_model.items()}
        times = interleaved(cases, rounds)
    return times | {f"{name}: {HANDED}": handed[name][1:] for name in MODELS}


def summary(times: dict[str, list[float]], images: int) -> list[str]:
    """What a checkpoint costs of a training, with so many images an epoch."""
    lines = []
    for name in MODELS:
        own = {what.partition(": ")[2]: statistics.median(values) for what, values in times.items()
               if what.startswith(name)}  # fmt: skip
        alone, waited, beside = list(own.values())[:3]
        step_s = alone / int(next(iter(own)).split()[0])
        between = min(5 * images * step_s, 5000 * step_s, 15 * 60)
        lines.append(f"{name}: a checkpoint costs {waited - alone:.2f} s if it is waited for, "
                     f"{beside - alone:.2f} s beside the steps, every {between:.0f} s")  # fmt: skip
    return lines


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=400, help="images an epoch")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--sizes", action="store_true", help="measure bytes alone")
    args = parser.parse_args(argv)
    if args.sizes:
        print(*sizes(args.device), sep="\n")
        return 0
    times = measure(args.rounds, args.device)
    for name, values in times.items():
        print(row(name, values, "s"))
    print(*summary(times, args.images), f"peak {memory(peak=True)}", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

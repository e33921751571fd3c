"""What live views cost: training time with each of them, in percent of the time without.

    python benchmarks/trackers.py [--rounds 25] [--steps 10] [--device cpu]

A small pix2pix (unet_128, ngf 16, 128 px). Losses and pictures go out once in --steps images; by
default it is once in 100 and in 400. visdom's server is started on this computer, as a training
does it, and ended.
"""

import argparse
import functools
import os
import re
import signal
import statistics
import sys
import tempfile
from pathlib import Path

import _root

from benchmarks.timing import interleaved, row
from benchmarks.train_step import CASES, make, step
from models.base_model import BaseModel
from util.record import RunInfo
from util.trackers import guard as trackers
from util.trackers import visdom_server
from util.training.visualizer import Frequencies, Visualizer

PORT = 8396
SETTINGS = {
    "no view": {},
    "tensorboard": {"tensorboard": {}},
    "wandb, offline": {"wandb": {"project": "benchmark"}},
    "visdom": {"visdom": {"server": "localhost", "port": PORT, "env": "benchmark", "columns": 4}},
    "visdom, server gone": {
        "visdom": {"server": "localhost", "port": PORT + 1, "env": "benchmark", "columns": 4}
    },
}


class Run:
    """A training that is looked at."""

    def __init__(self, model: BaseModel, folder: Path, services: dict, every: int) -> None:
        self.model, self.images = model, 0
        self.view = Visualizer(
            RunInfo(folder.name, folder), 1, winsize=0, trackers=services,
            frequencies=Frequencies(every, every, every),
        )  # fmt: skip
        self.view.console.on = False

    def train(self, steps: int) -> None:
        for _ in self.view.epoch([None] * steps, 1, 1):
            step(self.model)
            self.images += 1
            self.view.end_step(self.model, 1, self.images, self.images - 1, self.images)


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--steps", type=int, default=10, help="of each case in a round")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    os.environ["WANDB_MODE"] = "offline"
    trackers.START_S = 60
    size, flags = next(iter(CASES.values()))
    model = make(flags, size, args.device)
    with tempfile.TemporaryDirectory() as folder:
        runs = {}
        for name, services in SETTINGS.items():
            path = Path(folder) / name
            runs[name] = Run(model, path, services, args.steps)
        end_servers_but(PORT)
        work = {name: functools.partial(run.train, args.steps) for name, run in runs.items()}
        times = interleaved(work, args.rounds)
        for run in runs.values():
            run.view.__exit__()
    end_servers_but(None)
    for name, values in times.items():
        extra = [100 * (a / b - 1) for a, b in zip(values, times["no view"], strict=True)]
        print(row(name, values, f"s, {statistics.median(extra):+.1f} %"))
    return 0


STARTED: dict[int, int] = {}  # port -> process


def end_servers_but(port: int | None) -> None:
    """End what was started here."""
    for other in [p for p in STARTED if p != port]:
        os.kill(STARTED.pop(other), signal.SIGKILL)


def _remember(line: str) -> None:
    print(line)
    if found := re.search(r"kill (\d+)", line):
        STARTED[PORT + len(STARTED)] = int(found[1])


visdom_server.say = _remember

if __name__ == "__main__":
    sys.exit(main())

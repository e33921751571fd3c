"""What saving costs at the default frequencies: seconds a checkpoint, and its share of training.

    python benchmarks/saving.py [--rounds 3] [--images 400] [--device cpu]

Default networks at 256 px. A checkpoint is due every 5 epochs of --images images, every 5,000
images, and every 15 minutes, whichever comes first.
"""

import argparse
import functools
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.timing import interleaved, row  # noqa: E402
from benchmarks.train_step import make, step  # noqa: E402
from models.base_model import BaseModel  # noqa: E402
from options.train_options import TrainOptions, keeping  # noqa: E402
from util.background import Writer  # noqa: E402
from util.interrupt import Interruptions  # noqa: E402
from util.keeper import Keeper, Progress  # noqa: E402


class NoView:
    """Logs and pages take no part in this."""

    unit = "images"

    def __init__(self) -> None:
        self.writer = Writer()

    def state_dict(self) -> dict:
        return {}


def keeper(model: BaseModel, folder: str) -> Keeper:
    """What saves a run of the default options into a folder."""
    argv = ["--dataroot", ".", "--checkpoints_dir", folder, "--name", model.opt.model]
    how = keeping(TrainOptions().parse(argv))
    return Keeper(model, NoView(), Progress(), 100, Interruptions(), **how)


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=400, help="images an epoch")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        cases = {}
        for name in ("pix2pix", "cycle_gan"):
            model = make(f"--model {name}", 256, args.device)
            step(model)  # moments exist
            cases[f"{name}: a step"] = functools.partial(step, model)
            cases[f"{name}: a checkpoint"] = keeper(model, folder).save
        times = interleaved(cases, args.rounds)
        units = {path.parent.parent.parent.name: path.parent
                 for path in Path(folder).glob("*/snapshots/*/manifest.json")}  # fmt: skip
        sizes = {
            name: sum(f.stat().st_size for f in unit.iterdir()) for name, unit in units.items()
        }
    for name, values in times.items():
        print(row(name, values, "s"))
    for name in ("pix2pix", "cycle_gan"):
        each, save = (statistics.median(times[f"{name}: a {what}"]) for what in ("step",
                      "checkpoint"))  # fmt: skip
        between = min(5 * args.images * each, 5000 * each, 15 * 60)
        print(f"{name}: {sizes[name] / 1e6:.0f} MB a checkpoint, {100 * save / between:.2f} % of "
              f"training with {args.images} images an epoch")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())

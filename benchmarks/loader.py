"""Samples per second of each dataset in one process, and of Lab conversion against scikit-image.

    python benchmarks/loader.py [--rounds 5]

Rounds go over all cases in turn; medians and the spread are printed. Compare within one run only.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import skimage.data  # noqa: E402
from PIL import Image  # noqa: E402
from skimage.color import rgb2lab  # noqa: E402

from data import create_dataset  # noqa: E402
from options.train_options import TrainOptions  # noqa: E402
from util.lab import rgb_to_lab  # noqa: E402

MODES = {"aligned": "pix2pix", "unaligned": "cycle_gan", "colorization": "colorization"}
COUNT = 20  # images a round


def make_images(root: Path) -> None:
    """256 px JPEGs for every mode: pairs and colorization share a folder."""
    photo = Image.fromarray(skimage.data.astronaut())
    for folder in ("train", "trainA", "trainB"):
        (root / folder).mkdir()
        size = (512, 256) if folder == "train" else (256, 256)
        for i in range(COUNT):
            photo.crop((i, i, 400 + i, 400 + i)).resize(size).save(root / folder / f"{i}.jpg")


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main(argv: list[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args(argv).rounds
    pixels = np.asarray(Image.fromarray(skimage.data.astronaut()).resize((256, 256)))
    cases: dict[str, Callable[[], object]] = {
        "Lab, scikit-image": lambda: [rgb2lab(pixels) for _ in range(COUNT)],
        "Lab, util/lab.py": lambda: [rgb_to_lab(pixels) for _ in range(COUNT)],
    }
    with tempfile.TemporaryDirectory() as folder:
        make_images(Path(folder))
        for mode, model in MODES.items():
            flags = ["--dataroot", folder, "--model", model, "--num_threads", "0", "--seed", "1"]
            loader = create_dataset(TrainOptions().parse(flags))
            cases[f"loader, {mode}"] = lambda loader=loader: list(loader)
        times: dict[str, list[float]] = {name: [] for name in cases}
        for turn in range(rounds + 1):
            for name, work in cases.items():
                taken = seconds(work)
                if turn:  # the first one warms up
                    times[name].append(1000 * taken / COUNT)
    for name, values in times.items():
        spread = f"{min(values):.2f}-{max(values):.2f}"
        print(f"{name:<24} {statistics.median(values):6.2f} ms an image  ({spread})")
    return 0


if __name__ == "__main__":
    sys.exit(main())

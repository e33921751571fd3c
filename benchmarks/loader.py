"""Samples per second of each dataset in one process, and of Lab conversion against scikit-image.

    python benchmarks/loader.py [--rounds 5]

Rounds go over all cases in turn; medians and the spread are printed. Compare within one run only.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import skimage.data  # noqa: E402
from PIL import Image  # noqa: E402
from skimage.color import rgb2lab  # noqa: E402

from benchmarks.timing import interleaved, row  # noqa: E402
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
        times = interleaved(cases, rounds)
    for name, values in times.items():
        print(row(name, [1000 * value / COUNT for value in values], "ms an image"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

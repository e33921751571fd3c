"""What `--cache` gains: seconds of epochs 1, 2 and 3, of the loader alone and of a training.

    python benchmarks/cache.py [--rounds 3] [--images 8] [--num_threads 0]

Photographs of 4000x3000 px (12 megapixels) and of 256 px are made of scikit-image's in a temporary
folder. The training is that of a small colorization model at the default 256 px, one image a step.
In each round every case begins anew, and the cases take turns epoch by epoch; medians of the rounds
are printed, and how many times faster than without a cache that is. Without loader processes it is
the time of the processor that counts, in one thread, which other programs hardly change.
"""

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import _root

import skimage.data
import torch
from PIL import Image

from data import create_dataset
from data.loader import Loader
from models import create_model
from models.base_model import BaseModel
from options.train_options import TrainOptions

SIZES = {"12 megapixels": (4000, 3000), "256 px": (256, 256)}
CACHES = ("off", "ram", "disk")
EPOCHS = (1, 2, 3)
FILES = 4  # different ones; the others are links to them
MODEL = ["--model", "colorization", "--netG", "resnet_6blocks", "--ngf", "16", "--ndf", "16"]

Times = dict[tuple[str, str, str, int], list[float]]  # (what, photographs, cache, epoch) -> seconds


def make_photographs(folder: Path, size: tuple[int, int], count: int) -> None:
    """folder/train/<i>.jpg, as a camera writes them."""
    (folder / "train").mkdir(parents=True)
    whole = Image.fromarray(skimage.data.astronaut())
    for i in range(count):
        path = folder / "train" / f"{i:03d}.jpg"
        if i >= FILES:
            path.symlink_to(f"{i % FILES:03d}.jpg")
            continue
        piece = whole.crop((20 * i, 20 * i, 400 + 20 * i, 300 + 20 * i))
        piece.resize(size, Image.Resampling.LANCZOS).save(path, quality=92)


def options(root: Path, photographs: str, cache: str, *flags: str) -> argparse.Namespace:
    """Of a training on some photographs."""
    words = ["--dataroot", str(root / photographs), *MODEL, "--cache", cache, "--seed", "1"]
    return TrainOptions().parse([*words, "--device", "cpu", *flags])


def epoch_s(loader: Loader, epoch: int, model: BaseModel | None) -> float:
    """Seconds that an epoch takes, with training if there is a model."""
    clock = time.perf_counter if loader.num_threads else time.process_time
    loader.set_epoch(epoch)
    began = clock()
    for batch in loader:
        if model:
            model.set_input(batch)
            model.optimize_parameters()
    return clock() - began


def measure_round(root: Path, model: BaseModel, num_threads: int, times: Times) -> None:
    """All cases from their beginning, epoch by epoch in turn."""
    with tempfile.TemporaryDirectory(dir=root) as folder, contextlib.redirect_stdout(io.StringIO()):
        loaders = {}
        for what in ("loader alone", "training"):
            for photographs in SIZES:
                for cache in CACHES:
                    place = ["--cache_dir", f"{folder}/{what}"] if cache == "disk" else []
                    flags = ["--num_threads", str(num_threads), *place]
                    opt = options(root, photographs, cache, *flags)
                    loaders[what, photographs, cache] = create_dataset(opt)
        for epoch in EPOCHS:
            for (what, photographs, cache), loader in loaders.items():
                taken = epoch_s(loader, epoch, model if what == "training" else None)
                times[what, photographs, cache, epoch].append(taken)


def measure(rounds: int, images: int, num_threads: int) -> Times:
    """Seconds of each case in each round."""
    times: Times = defaultdict(list)
    if num_threads == 0:
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for photographs, size in SIZES.items():
            make_photographs(root / photographs, size, images)
        with contextlib.redirect_stdout(io.StringIO()):
            opt = options(root, "256 px", "off", "--num_threads", "0")
            model = create_model(opt)
            model.setup(opt)
        epoch_s(create_dataset(opt), 1, model)  # warms up
        for _ in range(rounds):
            measure_round(root, model, num_threads, times)
    return times


def main(argv: list[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=8, help="photographs of each size")
    parser.add_argument("--num_threads", type=int, default=0, help="loader processes")
    args = parser.parse_args(argv)
    times = measure(args.rounds, args.images, args.num_threads)
    print("milliseconds an image, and times faster than off")
    medians = {case: 1000 * statistics.median(s) / args.images for case, s in times.items()}
    for (what, photographs, cache, epoch), ms in sorted(medians.items()):
        off = medians[what, photographs, "off", epoch]
        print(f"{what:13} {photographs:14} {cache:5} epoch {epoch} {ms:8.1f} {off / ms:7.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

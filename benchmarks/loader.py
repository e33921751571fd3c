"""Milliseconds a sample of each way of reading images: a plain loader, ours, and ours with a cache.

    python benchmarks/loader.py [--rounds 5] [--workers 0,1,2] [--px 256,1024]

The plain loader is that of benchmarks/plain (Pillow, torchvision, torch DataLoader) at the default
flags. Rounds go over all cases in turn; medians and the spread are printed, in one thread. Compare
within one run only.
"""

import argparse
import contextlib
import io
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import _root

import skimage.data
import torch
from PIL import Image
from skimage.color import rgb2lab
from torch.utils.data import DataLoader

from benchmarks.plain.data import ImageFolders
from benchmarks.timing import interleaved, row
from data import create_dataset
from options.test_options import TestOptions
from options.train_options import TrainOptions
from util.images.lab import rgb_to_lab

MODES = {"aligned": "pix2pix", "unaligned": "cycle_gan", "colorization": "colorization"}
COUNT = 20  # samples a round


def make_images(root: Path, px: int) -> None:
    """JPEGs for every mode: pairs, which colorization takes too, and two folders."""
    photo = Image.fromarray(skimage.data.astronaut())
    for folder in ("train", "trainA", "trainB"):
        (root / folder).mkdir(parents=True)
        size = (2 * px, px) if folder == "train" else (px, px)
        for i in range(COUNT):
            photo.crop((i, i, 400 + i, 400 + i)).resize(size).save(root / folder / f"{i}.jpg")


def plain_options(root: Path, mode: str) -> argparse.Namespace:
    """The default flags, for the loader of the stand-in."""
    return argparse.Namespace(
        dataroot=root, phase="train", dataset_mode=mode, load_size=286, crop_size=256, no_flip=False
    )


def ours(root: Path, mode: str, *more: str) -> Callable[[], object]:
    """An epoch through the loader of train.py."""
    flags = ["--dataroot", str(root), "--model", MODES[mode], "--seed", "1", "--device", "cpu"]
    opt = TrainOptions().parse([*flags, "--num_threads", "0", "--cache", "off", *more])
    with contextlib.redirect_stderr(io.StringIO()):  # several layouts in one folder: it says so
        loader = create_dataset(opt)
    return lambda: _drain(loader)


def translated(root: Path, preprocess: str) -> Callable[[], object]:
    """All images through the loader of test.py."""
    flags = ["--dataroot", str(root / "trainA"), "--model", "test", "--device", "cpu"]
    loader = create_dataset(
        TestOptions().parse([*flags, "--num_threads", "0", "--preprocess", preprocess])
    )
    return lambda: _drain(loader)


def cases_of(root: Path, px: int, workers: Sequence[int]) -> dict[str, Callable[[], object]]:
    """Name -> what reads COUNT samples."""
    cases: dict[str, Callable[[], object]] = {}
    for mode in MODES:
        what = f"{mode} {px} px"
        if mode != "colorization":
            plain = DataLoader(ImageFolders(plain_options(root, mode)), shuffle=True)
            cases[f"plain, {what}"] = lambda plain=plain: _drain(plain)
        cases[f"ours, {what}"] = ours(root, mode)
        if px >= 512:
            cases[f"--fast_decode, {what}"] = ours(root, mode, "--fast_decode")
        cases[f"cache ram, {what}"] = ours(root, mode, "--cache", "ram")
        folder = ["--cache_dir", str(root / "cache")]
        cases[f"cache disk, {what}"] = ours(root, mode, "--cache", "disk", *folder)
    for count in workers:
        more = ["--num_threads", str(count)]
        cases[f"ours, aligned {px} px, {count} workers"] = ours(root, "aligned", *more)
    for preprocess in ("keep", "none"):
        cases[f"test, {preprocess}, {px} px"] = translated(root, preprocess)
    return cases


def _drain(loader: object) -> None:
    for _ in loader:
        pass


def measure(rounds: int, workers: Sequence[int] = (), px: Sequence[int] = (256,)) -> dict:
    """Case -> ms a sample in each round."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            pixels = skimage.data.astronaut()[:256, :256]
            planes = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
            cases: dict[str, Callable[[], object]] = {
                "Lab, scikit-image": lambda: [rgb2lab(pixels) for _ in range(COUNT)],
                "Lab, util/images/lab.py": lambda: [rgb_to_lab(planes) for _ in range(COUNT)],
            }
            for side in px:
                make_images(Path(folder, str(side)), side)
                cases |= cases_of(Path(folder, str(side)), side, workers)
            times = interleaved(cases, rounds)
    finally:
        torch.set_num_threads(before)
    return {name: [1000 * value / COUNT for value in values] for name, values in times.items()}


def main(argv: list[str] | None = None) -> int:
    """Measure and print; returns the exit code."""

    def numbers(text: str) -> list[int]:
        return [int(word) for word in text.split(",") if word]

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=numbers, default=[], help="numbers of loader processes")
    parser.add_argument("--px", type=numbers, default=[256], help="sides of the images")
    args = parser.parse_args(argv)
    for name, values in measure(args.rounds, args.workers, args.px).items():
        print(row(name, values, "ms a sample"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

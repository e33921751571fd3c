"""Seconds that the check before training takes on many small images.

    python benchmarks/start_up.py [--images 20000] [--rounds 3]

Makes 128 x 128 px JPEG and PNG files in a temporary folder; the system has them in its cache when
they are read. Medians of the rounds: listing, the quick look at every header, and decoding all.
"""

import argparse
import functools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import _root

import skimage.data
from PIL import Image

from data.check import Expected, look_at
from data.image_folder import list_images
from data.transforms import size_after
from util.machine import cores


def expected(paths: list[str]) -> Expected:
    """Of a data set that is nothing but its files."""
    return Expected(
        files={"A": paths},
        value_range=None,
        channels={"A": {3}},
        problems=lambda headers: {},
        size_after=functools.partial(size_after, "resize_and_crop", 286, 256),
    )


def make(folder: Path, images: int) -> None:
    """Pieces of a photograph, half of them JPEG, half PNG."""
    photo = Image.fromarray(skimage.data.astronaut())
    for kind in ("jpg", "png"):
        (folder / kind).mkdir()
        for piece in range(64):
            x, y = 48 * (piece % 8), 48 * (piece // 8)
            photo.crop((x, y, x + 128, y + 128)).save(folder / kind / f"{piece:06d}.{kind}")
        for number in range(64, images // 2):
            source = folder / kind / f"{number % 64:06d}.{kind}"
            (folder / kind / f"{number:06d}.{kind}").write_bytes(source.read_bytes())


def median_s(rounds: int, work: Callable[[], object]) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), args.images)
        files = expected(list_images(name).images)
        print(
            f"{len(files.files['A'])} images, {cores()} cores, seconds, medians of {args.rounds}:"
        )
        print(f"listing    {median_s(args.rounds, lambda: list_images(name)):6.2f}")
        print(f"quick look {median_s(args.rounds, lambda: look_at(files)):6.2f}")
        print(f"decode all {median_s(1, lambda: look_at(files, cores())):6.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

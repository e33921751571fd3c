"""How much a translated video flickers, by what the norms' statistics are taken from.

    python benchmarks/video.py --name RUN [--checkpoints_dir FOLDER] [--video FILE] [--frames 100]

Without --video the frames are those of a camera that stands still, while something bright comes
into the picture: what is far from it changes by the norms alone. For each way three figures:

flicker    mean change from frame to frame over the video's own (util/metrics/flicker.py)
still      levels that change where the frame itself does not, by one level at most
off        levels between it and the translation of each frame by itself, in the mean

and the time that finding the statistics takes, in frames that could be translated in it. What
dropout draws is the same in all frames, but for the last two ways, which matter with dropout only.
"""

import argparse
import itertools
import time

from _root import ROOT

import numpy as np
import skimage.data
import torch

from models.compute import steady
from translate import Translator
from util.images.header import Header
from util.metrics.flicker import Flicker
from util.video.convert import open_video
from util.video.read import Frame

Frames = list[np.ndarray]
WAYS = ("each frame's own", "first frame", "4 frames", "8 frames", "16 frames", "8 frames, pooled",
        "8 frames, new noise", "8 frames, no noise")  # fmt: skip


def camera(count: int, width: int = 256, height: int = 160) -> Frames:
    """A photograph, and something bright that comes into it from the left, to its middle."""
    photo = skimage.data.coffee()[100 : 100 + height, 100 : 100 + width]
    frames = [photo.copy() for _ in range(count)]
    for n, frame in enumerate(frames):
        frame[: height // 2, : n * width // (2 * count)] = 240
    return frames


def read(path: str, count: int) -> Frames:
    """The first frames of a video."""
    with open_video(path) as reader:
        frames = (each.pixels for each in reader if isinstance(each, Frame))
        return list(itertools.islice(frames, count))


def spread(frames: Frames, count: int) -> Frames:
    """So many of them, evenly spread."""
    return [frames[place * len(frames) // count] for place in range(count)]


def pooled_add(self: steady.HeldStatistics, x: torch.Tensor, groups: int) -> None:
    """Instead of `HeldStatistics.add`: over all pixels of all images; for one batch alone."""
    values = x.double().transpose(0, 1).reshape(groups, -1)
    self.mean, self.variance, self.images = values.mean(1), values.var(1, unbiased=False), 1


def translated(translator: Translator, frames: Frames, way: str) -> tuple[Frames, float]:
    """(translations, seconds that finding the statistics took)."""
    steady.release_statistics(translator.model.networks().values())
    add, start = steady.HeldStatistics.add, time.perf_counter()
    if way.endswith("pooled"):
        steady.HeldStatistics.add = pooled_add
    try:
        if way != WAYS[0]:
            count = 1 if way == "first frame" else int(way.split()[0])
            translator.steady(spread(frames, count))
    finally:
        steady.HeldStatistics.add = add
    seconds = time.perf_counter() - start
    dropout = [layer for net in translator.model.networks().values() for layer in net.modules()
               if isinstance(layer, torch.nn.Dropout)]  # fmt: skip
    for layer in dropout:
        layer.train(not way.endswith("no noise"))
    translator._held = not way.endswith("new noise")  # else each frame has the noise of its place
    header = Header(frames[0].shape[1::-1], 3)
    pictures = [translator.taken(frame).images[0] for frame in frames]
    return [
        translator.levels(picture, header, place=place) for place, picture in enumerate(pictures)
    ], seconds


def figures(made: Frames, frames: Frames, own: Frames) -> tuple[float, float, float]:
    """(flicker, still, off)."""
    flicker, still = Flicker(), []
    for frame, given in zip(made, frames, strict=True):
        flicker.update(np.broadcast_to(frame, given.shape), given)
    for n in range(1, len(made)):
        moved = abs(frames[n].astype(int) - frames[n - 1]).max(2) > 1
        if not moved.all():
            still.append(abs(made[n].astype(int) - made[n - 1])[~moved].mean())
    off = [abs(a.astype(int) - b).mean() for a, b in zip(made, own, strict=True)]
    return flicker.compute(), float(np.mean(still)) if still else float("nan"), float(np.mean(off))


def parser() -> argparse.ArgumentParser:
    """Of the command line."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--name", required=True, help="the run")
    arguments.add_argument("--checkpoints_dir", default="./checkpoints")
    arguments.add_argument("--video", help="frames of this file instead")
    arguments.add_argument("--frames", type=int, default=100)
    return arguments


def main() -> None:
    """Measure and print."""
    args = parser().parse_args()
    frames = read(args.video, args.frames) if args.video else camera(args.frames)
    translator = Translator.load(f"{args.checkpoints_dir}/{args.name}", device="cpu")
    print(f"{len(frames)} frames of {frames[0].shape[1]}x{frames[0].shape[0]} px, run {args.name}")
    print(f"{'statistics of':20} {'flicker':>8} {'still':>8} {'off':>8} {'costs':>8}")
    own, each_s = [], 1.0
    for way in WAYS:
        start = time.perf_counter()
        made, seconds = translated(translator, frames, way)
        if way == WAYS[0]:
            own, each_s = made, (time.perf_counter() - start) / len(frames)
        flicker, still, off = figures(made, frames, own)
        print(f"{way:20} {flicker:8.3f} {still:8.3f} {off:8.2f} {seconds / each_s:8.1f}")


if __name__ == "__main__":
    main()

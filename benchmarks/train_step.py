"""Seconds per training step of pix2pix and CycleGAN, at a small and at the default size.

    python benchmarks/train_step.py [--steps 5] [--device cpu]

The cases take turns, so that a change of the machine's speed meets all of them; medians and the
spread (smallest to largest) are printed. Compare within one run only.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from models import create_model  # noqa: E402
from models.base_model import BaseModel  # noqa: E402
from options.train_options import TrainOptions  # noqa: E402

CASES = {
    "pix2pix small (unet_128, ngf 16, 128 px)": (
        128, "--model pix2pix --netG unet_128 --ngf 16 --ndf 16 --crop_size 128"),
    "cycle_gan small (resnet_6blocks, ngf 16, 128 px)": (
        128, "--model cycle_gan --netG resnet_6blocks --ngf 16 --ndf 16 --crop_size 128"),
    "pix2pix default (unet_256, 256 px)": (256, "--model pix2pix"),
    "cycle_gan default (resnet_9blocks, 256 px)": (256, "--model cycle_gan"),
}  # fmt: skip


def make(flags: str, size: int, device: str) -> BaseModel:
    """A model with one random batch in it."""
    argv = ["--dataroot", ".", "--seed", "1", "--device", device, *flags.split()]
    opt = TrainOptions().parse(argv)
    model = create_model(opt)
    model.setup(opt)
    A, B = (torch.rand(1, 3, size, size) * 2 - 1 for _ in range(2))
    model.set_input({"A": A, "B": B, "A_paths": ["a"], "B_paths": ["b"]})
    return model


def step_s(model: BaseModel) -> float:
    """Seconds of one step, with the device's work done."""
    started = time.perf_counter()
    model.optimize_parameters()
    model.get_current_losses()  # waits for the device
    return time.perf_counter() - started


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5, help="measured steps of each case")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    built = {name: make(flags, size, args.device) for name, (size, flags) in CASES.items()}
    times: dict[str, list[float]] = {name: [] for name in built}
    for turn in range(args.steps + 1):
        for name, model in built.items():
            taken = step_s(model)
            if turn:  # the first one warms up
                times[name].append(taken)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {args.steps}")
    for name, values in times.items():
        spread = f"{min(values):.3f}-{max(values):.3f}"
        print(f"{name:<50} {statistics.median(values):7.3f} s a step  ({spread})")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Seconds per training step of pix2pix and CycleGAN, at a small and at the default size.

    python benchmarks/train_step.py [--steps 5] [--device cpu]

The cases take turns, so that a change of the machine's speed meets all of them; medians and the
spread (smallest to largest) are printed. Compare within one run only.
"""

import argparse
import functools
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from benchmarks.timing import interleaved, row  # noqa: E402
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


def step(model: BaseModel) -> None:
    """One step, with the device's work done."""
    model.optimize_parameters()
    model.get_current_losses()  # waits for the device


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=5, help="measured steps of each case")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    built = {name: make(flags, size, args.device) for name, (size, flags) in CASES.items()}
    cases = {name: functools.partial(step, model) for name, model in built.items()}
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {args.steps}")
    for name, values in interleaved(cases, args.steps).items():
        print(row(name, values, "s a step"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

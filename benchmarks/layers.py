"""Forward and backward of layers and networks on the CPU, as torch computes them and as we do.

    python benchmarks/layers.py [--rounds 5]

What it shows decides the rules of models/compute/rules.py. The cases take turns;
medians and the spread are printed. Compare within one run only.
"""

import argparse
import copy
import sys
from collections.abc import Callable

import _root

import torch
from torch import nn

from benchmarks.timing import interleaved, row
from models import networks
from models.compute.configure import configure, exchange_layers, undo
from models.compute.process import keep_freed_memory
from models.compute.winograd import conv3x3

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
NORM_SHAPES = [(1, 64, 256, 256), (1, 256, 64, 64), (1, 64, 32, 32)]
SCALING = (16, 8, 4, 2)  # px of the larger side, 512 channels there
CONV_SHAPES = [(64, 64), (128, 64), (256, 32), (256, 64), (512, 32), (512, 64)]  # channels, px
NETWORKS = {
    "resnet_9blocks 256 px": (256, {"ngf": 64, "netG": "resnet_9blocks", "norm": "instance"}),
    "resnet_6blocks ngf 16 128 px": (128, {"ngf": 16, "netG": "resnet_6blocks",
                                           "norm": "instance"}),
    "unet_256 256 px": (256, {"ngf": 64, "netG": "unet_256", "norm": "batch"}),
    "unet_128 ngf 16 128 px": (128, {"ngf": 16, "netG": "unet_128", "norm": "batch"}),
}  # fmt: skip


def both(work: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> Callable[[], None]:
    """Forward and backward."""
    x = x.detach().requires_grad_()
    grad = torch.ones_like(work(x))
    return lambda: work(x).backward(grad)


def norm_cases() -> dict[str, Callable[[], None]]:
    cases = {}
    for shape in NORM_SHAPES:
        for name, memory_format in FORMATS.items():
            x = torch.randn(shape).to(memory_format=memory_format)
            fast = nn.Sequential(nn.InstanceNorm2d(shape[1]))
            exchange_layers(fast, "speed")
            label = f"instance norm {shape[1]} x {shape[2]}^2 {name}"
            cases[f"{label}, torch"] = both(nn.InstanceNorm2d(shape[1]), x)
            cases[f"{label}, ours"] = both(fast, x)
    return cases


def conv_cases() -> dict[str, Callable[[], None]]:
    cases = {}
    for nc, side in CONV_SHAPES:
        x = torch.randn(1, nc, side + 2, side + 2).to(memory_format=torch.channels_last)
        conv = nn.Conv2d(nc, nc, 3)
        cases[f"conv 3x3 {nc} x {side}^2, direct"] = both(conv, x)
        cases[f"conv 3x3 {nc} x {side}^2, Winograd"] = both(
            lambda x, conv=conv: conv3x3(x, conv.weight, conv.bias, (0, 0)), x
        )
    return cases


def scaling_cases() -> dict[str, Callable[[], None]]:
    """A U-Net's inner convolutions."""
    cases = {}
    for side in SCALING:
        for conv, px in ((nn.Conv2d(512, 512, 4, 2, 1), side),
                         (nn.ConvTranspose2d(1024, 512, 4, 2, 1), side // 2)):  # fmt: skip
            fast = nn.Sequential(copy.deepcopy(conv))
            exchange_layers(fast, "speed")
            label = f"{type(conv).__name__} 4x4 stride 2 from {px}^2"
            x = torch.randn(1, conv.in_channels, px, px)
            cases |= {f"{label}, torch": both(conv, x), f"{label}, ours": both(fast, x)}
    return cases


def network_cases() -> dict[str, Callable[[], None]]:
    cases = {}
    for label, (size, arguments) in NETWORKS.items():
        image = torch.rand(1, 3, size, size) * 2 - 1
        for precision in ("fp32", "bf16"):
            for name in FORMATS:
                for fast in (False, True):
                    net = networks.define_G(3, 3, **arguments)
                    configure(net, torch.device("cpu"), precision, name)
                    if not fast:
                        undo(net, "speed")
                    how = "ours" if fast else "torch"
                    cases[f"{label} {precision} {name}, {how}"] = both(net, image)
    return cases


def measure(rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each case in each round."""
    keep_freed_memory()
    times = {}
    for cases in (norm_cases(), conv_cases(), scaling_cases(), network_cases()):
        times |= interleaved(cases, rounds)
    return {name: [1000 * value for value in values] for name, values in times.items()}


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, median of {args.rounds}")
    for name, values in measure(args.rounds).items():
        print(row(name, values, "ms"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Seconds and peak memory of a feed-forward style network, at 640x427 and at 2048x1366 px.

    python benchmarks/style_net.py [--rounds 5] [--device cpu]

Memory is the process's (CPU) or the device's (GPU), the smaller size first.
"""

import argparse
import functools
import resource
import sys

import _root

import torch

from benchmarks.timing import interleaved, row
from models.style.net import StyleNet
from util.machine import resolve_device

SIZES = ((640, 427), (2048, 1366))


def translate(net: StyleNet, image: torch.Tensor) -> None:
    """One pass, with the device's work done."""
    with torch.inference_mode():
        net(image).mean().item()


def peak_gb(device: torch.device) -> float:
    """Most memory in use until now."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9  # Linux: KiB


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    device = resolve_device(args.device, None)
    net = StyleNet(3, 3).to(device)
    print(f"torch {torch.__version__}, {device}, before: {peak_gb(device):.2f} GB")
    for width, height in SIZES:
        case = functools.partial(translate, net, torch.rand(1, 3, height, width, device=device))
        (times,) = interleaved({"": case}, args.rounds).values()
        print(row(f"{width}x{height} px, peak {peak_gb(device):.2f} GB", times, "s an image"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The old names, for plug-ins that say `import util.util as util`."""

from __future__ import annotations

import os

import numpy as np

from util import distributed
from util.errors import say
from util.images.convert import save_image, tensor2im  # noqa: F401
from util.lazy import nn, torch
from util.machine import resolve_device


def diagnose_network(net: nn.Module, name: str = "network") -> None:
    """Print the mean over a network's weights of each one's mean absolute gradient."""
    means = [p.grad.abs().mean() for p in net.parameters() if p.grad is not None]
    say(name)
    say(str(float(sum(means) / max(1, len(means)))))


def print_numpy(x: np.ndarray, val: bool = True, shp: bool = False) -> None:
    """Print an array's mean, least, greatest and middle value and deviation, and its shape."""
    x = x.astype(np.float64)
    if shp:
        say(f"shape, {x.shape}")
    if val:
        told = (x.mean(), x.min(), x.max(), np.median(x), x.std())
        say("mean = {:3.3f}, min = {:3.3f}, max = {:3.3f}, median = {:3.3f}, std={:3.3f}".format(
            *told
        ))  # fmt: skip


def mkdirs(paths: str | list[str]) -> None:
    """Make folders, with their parents, unless they are there."""
    for path in paths if isinstance(paths, list) else [paths]:
        mkdir(path)


def mkdir(path: str) -> None:
    """Make a folder, with its parents, unless it is there."""
    os.makedirs(path, exist_ok=True)


def init_ddp() -> torch.device:
    """Join the other processes of a run, if `torchrun` has started several. Returns: this one's
    device, a GPU where there is one."""
    device = resolve_device("auto", None)
    distributed.start(device)
    return device


def cleanup_ddp() -> None:
    """Leave the other processes."""
    distributed.stop()

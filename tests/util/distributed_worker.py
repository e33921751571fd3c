"""Run by test_distributed.py in two processes.

`step NORM`: their averaged step is that of one process with the double batch.
`missing`: weights that have a gradient in one process only, or in none.
`train FLAGS`: after a training without --seed they hold the same weights.
`poison FLAGS`: a training in which one process meets a NaN in its third step.
`full FLAGS`: a training on a disk that takes no checkpoint.
"""

import copy
import math
import sys
from pathlib import Path

import torch
from torch import nn

import train
from models import networks
from models.pix2pix_model import Pix2PixModel
from util import atomic, distributed


def step(net: nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    """One step of SGD on a mean loss. Returns: gradients and running statistics."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    (net(images).square().mean() + net(-images).abs().mean()).backward()  # called twice
    distributed.average_gradients(optimizer)
    optimizer.step()
    statistics = [b for b in net.buffers() if b.is_floating_point()]
    return [p.grad.clone() for p in net.parameters()] + [b.clone() for b in statistics]


def check_training(*flags: str) -> None:
    models, create_model = [], train.create_model
    train.create_model = lambda opt: models.append(create_model(opt)) or models[0]
    assert train.main(list(flags)) == 0
    for net in models[0].networks().values():
        mine = torch.cat([p.detach().flatten() for p in net.parameters()])
        assert torch.equal(mine, distributed.from_rank_0(mine))


def check_step(norm: str) -> None:
    torch.manual_seed(0)
    net = networks.define_D(3, 8, "basic", norm=norm)
    alone = copy.deepcopy(net)
    images = torch.randn(4, 3, 32, 32)
    expected = step(alone, images)  # before the group exists: one process, double batch
    assert distributed.start("cpu") == (distributed.rank() == 0)
    half = images.chunk(2)[distributed.rank()]
    found, wanted = (torch.cat([t.flatten() for t in ts]) for ts in (step(net, half), expected))
    assert (found - wanted).norm() < 1e-5 * wanted.norm()
    for mine, one in zip(net.parameters(), alone.parameters(), strict=True):
        assert torch.allclose(mine, one, atol=1e-6)
    assert distributed.from_rank_0(distributed.rank()) == 0


def check_missing() -> None:
    distributed.start("cpu")
    everywhere, in_one, nowhere = weights = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
    everywhere.grad = torch.full((2,), 1.0 + distributed.rank())
    if distributed.rank() == 1:
        in_one.grad = torch.full((2,), 6.0)
    distributed.average_gradients(torch.optim.SGD(weights, lr=0.1))
    assert everywhere.grad.tolist() == [1.5, 1.5] and in_one.grad.tolist() == [3.0, 3.0]
    assert nowhere.grad is None


def poison(*flags: str) -> None:
    real, calls = Pix2PixModel.set_input, []

    def set_input(self: Pix2PixModel, batch: dict) -> None:
        calls.append(1)
        if len(calls) == 4 and distributed.rank() == 1:  # the first call only looks
            batch["A"][0, 0, 0, 0] = math.nan
        real(self, batch)

    Pix2PixModel.set_input = set_input
    sys.exit(train.main(list(flags)))


def fill_disk(*flags: str) -> None:
    real = atomic.write

    def write(path: Path, content: bytes, **how: bool) -> None:
        if "snapshots" in path.parts:
            raise OSError(28, "No space left on device")
        real(path, content, **how)

    atomic.write = write
    sys.exit(train.main(list(flags)))


if __name__ == "__main__":
    work = {"step": check_step, "missing": check_missing, "train": check_training}
    work |= {"poison": poison, "full": fill_disk}
    work[sys.argv[1]](*sys.argv[2:])

"""Training steps of a model on given images, for tests that compare two ways of computing them."""

import copy

import torch

from models import create_model
from models.base_model import BaseModel
from models.compute.configure import undo
from options.train_options import TrainOptions
from tests import closed_form
from util.direction import oriented


def make_model(
    flags: list[str], plain: bool = False, dtype: torch.dtype | None = None
) -> BaseModel:
    """A model whose weights come from formulas, set up for training.

    Args:
        flags: of train.py.
        plain: with torch's own layers and memory format, instead of as users run it.
        dtype: of its weights.
    """
    opt = TrainOptions().parse(["--dataroot", ".", "--gpu_ids", "-1", *flags])
    model = create_model(opt)
    for number, net in enumerate(model.networks().values()):
        closed_form.fill_(net, salt=10 * number)
    model.setup(opt)
    for net in model.networks().values():
        if plain:
            undo(net)
        net.to(dtype)
    return model


def take_step(model: BaseModel, step: int, n: int, size: int) -> dict[str, float]:
    """Train on the images of a step. Returns: its losses."""
    channels = oriented(model.opt.direction, model.opt.input_nc, model.opt.output_nc)
    dtype = next(next(iter(model.networks().values())).parameters()).dtype
    A, B = (
        closed_form.image(n, nc, size, size, 2 * step + side).to(dtype)
        for side, nc in enumerate(channels)
    )
    model.set_input({"A": A, "B": B, "A_paths": ["a"] * n, "B_paths": ["b"] * n})
    model.optimize_parameters()
    return model.get_current_losses()


def take_over(model: BaseModel, other: BaseModel) -> None:
    """Give a model the weights, statistics, moments and pools of another."""
    for name, net in model.networks().items():
        net.load_state_dict(other.networks()[name].state_dict())
    for mine, its in zip(model.optimizers, other.optimizers, strict=True):
        mine.load_state_dict(copy.deepcopy(its.state_dict()))
    model.load_local_state(copy.deepcopy(other.local_state()))


def gradients(model: BaseModel) -> dict[str, torch.Tensor]:
    """Name of a network -> the gradients that its last update was made with, (weights,)."""
    return {
        name: torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
        for name, net in model.networks().items()
    }

"""The same pictures through the epochs, made by the networks as they are, without a trace."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from util import distributed
from util.checkpoints.state import restore_point
from util.errors import warn
from util.lazy import torch
from util.seed import random_state, seed_everything, set_random_state
from util.training.types import BaseModel


class FixedSample:
    """A batch that is shown again and again.

    Args:
        batch: as from the loader; its first image is shown.
    """

    def __init__(self, batch: dict) -> None:
        self.batch: dict | None = batch

    def visuals(self, model: BaseModel) -> dict[str, torch.Tensor]:
        """Name -> images (N, C, H, W) in [-1, 1], for the model's pictures that its forward pass
        makes. Dropout draws the same each time, so only the weights make a difference.

        Empty for a model without networks, which learns nothing, and for one that cannot be asked
        between its steps: that is said once.
        """
        if self.batch is None or not model.networks():
            return {}
        if not _works_alone(model):
            self._give_up("--norm syncbatch needs all processes")
            return {}
        try:
            with untouched(model), torch.no_grad():
                return _forward(model, self.batch)
        except Exception as error:  # of a plug-in's forward pass: it is no reason to stop training
            self._give_up(f"{type(error).__name__}: {error}")
            return {}

    def _give_up(self, why: str) -> None:
        self.batch = None
        warn(f"no fixed sample on the training page, its strip shows each epoch's own ({why})")


def _forward(model: BaseModel, batch: dict) -> dict[str, torch.Tensor]:
    seed_everything(0)
    for name in model.visual_names:  # what a step leaves behind is of another batch
        vars(model).pop(name, None)
    model.set_input(dict(batch))
    model.forward()
    model.compute_visuals()
    return {name: vars(model)[name] for name in model.visual_names if name in vars(model)}


def _works_alone(model: BaseModel) -> bool:
    """Whether one process can run the networks without the others."""
    layers = (layer for net in model.networks().values() for layer in net.modules())
    synced = any(getattr(layer, "needs_all_processes", False) for layer in layers)
    return distributed.world_size() == 1 or not synced


@contextlib.contextmanager
def untouched(model: BaseModel) -> Iterator[None]:
    """Afterwards the model's attributes, what a step changes of them, and all random generators
    are what they were before."""
    attributes, restore, random = dict(vars(model)), restore_point(model), random_state()
    try:
        yield
    finally:
        vars(model).clear()
        vars(model).update(attributes)
        restore()
        set_random_state(random)

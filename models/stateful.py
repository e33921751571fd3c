"""What is kept of a model: its weights and the state of its training, to disk and back."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from typing import Any

from util.atomic import files_of
from util.checkpoints.checkpoint import Checkpoint, find_checkpoint
from util.checkpoints.plan import Sizes, expected_sizes
from util.checkpoints.state import load_optimizers, load_plateaus, scheduler_state, stateful_parts
from util.checkpoints.weights import load_weights, save_file, weights_path
from util.errors import UserError, say
from util.lazy import Lazy, lr_scheduler, nn, torch
from util.tensors import tensors_to

networks = Lazy("models.networks")


def _returning_state(setup: Callable) -> Callable:
    """A `setup` that returns the training state also where it calls its parent's and returns
    nothing itself, as in files written for the original implementation."""

    @functools.wraps(setup)
    def wrapped(self: StatefulModel, opt: argparse.Namespace) -> dict | None:
        with files_of(vars(self.opt)):
            returned = setup(self, opt)
        state = self._state = self._state if returned is None else returned
        if type(self).setup is wrapped:  # the outermost: what it returns is held by the caller
            self._state = None
        return state

    wrapped.returns_state = True
    return wrapped


class StatefulModel:
    """The part of `BaseModel` that deals with files; see there for the attributes.

    What a training needs besides weights is `state_dict()`, alike in all processes of a run, and
    `local_state()`, which differs between them.
    """

    opt: argparse.Namespace
    isTrain: bool
    device: torch.device
    save_dir: str
    optimizers: list[torch.optim.Optimizer]
    schedulers: list[lr_scheduler.LRScheduler]
    networks: Callable[[], dict[str, nn.Module]]
    _metric_sum: torch.Tensor | float
    _metric_count: int
    _state: dict | None = None  # on its way through overridden `setup`s

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        setup = getattr(cls, "setup", None)
        if setup is not None and not hasattr(setup, "returns_state"):  # defined here or in a mixin
            cls.setup = _returning_state(setup)

    def state_dict(self) -> dict:
        """What a training needs besides its weights to go on, alike in all processes."""
        return {
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "schedulers": [scheduler_state(scheduler) for scheduler in self.schedulers],
        }

    def load_state_dict(self, state: dict) -> None:
        """Take `state_dict()` back."""
        load_optimizers(self.optimizers, state["optimizers"])
        load_plateaus(self.schedulers, state["schedulers"])

    def local_state(self) -> dict:
        """What differs between the processes of a run: image pools and the like."""
        parts = {name: part.state_dict() for name, part in stateful_parts(self).items()}
        return {"parts": parts, "metric": [float(self._metric_sum), self._metric_count]}

    def load_local_state(self, state: dict) -> None:
        """Take `local_state()` back."""
        for name, part in stateful_parts(self).items():
            if name in state["parts"]:
                part.load_state_dict(tensors_to(state["parts"][name], self.device))
        self._metric_sum, self._metric_count = state["metric"]

    def checkpoint_sizes(self, picture: int, images: int) -> Sizes:
        """Bytes that a checkpoint of the training will hold, told at its start.

        Args:
            picture: bytes of an image.
            images: that the training will see.
        """
        return expected_sizes(self, picture, images)

    def save_networks(self, epoch: str | int) -> None:
        """Write <epoch>_net_<X>.pth for every network; for plug-ins with moments of their own."""
        for name, weights in self.weights().items():
            path = weights_path(self.save_dir, epoch, name)
            save_file(weights, path.with_suffix(".pth"))

    def weights(self) -> dict[str, dict[str, torch.Tensor]]:
        """Name of a network -> its state_dict, copied to the CPU."""
        cpu = torch.device("cpu")
        return {
            name: tensors_to(net.state_dict(), cpu, copy=True)
            for name, net in self.networks().items()
        }

    def load_networks(self, epoch: str | int) -> dict | None:
        """Read every network of an epoch, and return the training state that was saved with it;
        None if there is none, or it is not needed."""
        files = None if self.isTrain else [f"net_{name}.pth" for name in self.networks()]
        checkpoint = find_checkpoint(self.save_dir, str(epoch), files, training=self.isTrain)
        if self.isTrain and checkpoint is not None and not checkpoint.has_state:
            self._allow_weights_alone(checkpoint)
        if checkpoint is None and not self.networks():
            raise UserError(f"{self.save_dir}: no checkpoint to go on from; leave the flag out")
        for name, net in self.networks().items():
            path = weights_path(self.save_dir, epoch, name)
            if checkpoint is not None and f"net_{name}.pth" in checkpoint.files:
                path = checkpoint.folder / f"net_{name}.pth"
            load_weights(net, path, self.device, name, self._explain_weights, self.isTrain)
            say(f"loaded {path}")
        if checkpoint is None or not self.isTrain:
            return None
        return checkpoint.state() | {"checkpoint": checkpoint.number}

    def _explain_weights(self, own: dict, given: dict) -> str:
        """How weights that are not of this network differ from it, and what to do."""
        words, flags = networks.differences(own, given)
        if not flags:
            return f"{words}; choose the file of this network"
        if self.opt.trained:
            return (f"{words}, against the run's own options: it is a file of another run, put it "
                    f"into a folder of its own (--name), and give {flags}")  # fmt: skip
        return f"{words}; give {flags}"

    def _allow_weights_alone(self, checkpoint: Checkpoint) -> None:
        """Raise UserError unless a training may go on without its optimizers."""
        if not self.opt.allow_changed:
            raise UserError(
                f"{checkpoint.folder}: weights alone ({checkpoint.describe()}): optimizers, image "
                "pools and random numbers would begin anew; leave --epoch and --load_iter out to "
                "go on exactly, from `latest`, or give --allow_changed (--save_state all keeps "
                "them in all checkpoints of a training)"
            )

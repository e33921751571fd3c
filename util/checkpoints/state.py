"""What of a model changes in a training step, decided here once: for a run that goes on, for a step
that is left out, and for a look at the networks between two steps.

Networks and optimizers have `state_dict`s of their own. Besides these a step changes the parts that
`stateful_parts` finds, and the buffers of networks (running statistics of norms).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from util.errors import UserError
from util.image_pool import ImagePool
from util.lazy import lr_scheduler, nn, torch
from util.seed import random_state, set_random_state
from util.tensors import tensors_in, with_tensors

MOMENTS = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "square_avg"}  # of a weight's shape


def stateful_parts(owner: object) -> dict[str, Any]:
    """Attribute name -> object, for what has a state of its own besides networks, optimizers and
    schedules: image pools, gradient scalers, averaged weights (AveragedModel)."""

    def counts(value: object) -> bool:
        if isinstance(value, nn.Module):
            return isinstance(value, torch.optim.swa_utils.AveragedModel)
        handled_elsewhere = (torch.optim.Optimizer, lr_scheduler.LRScheduler, type)
        return hasattr(value, "load_state_dict") and not isinstance(value, handled_elsewhere)

    return {name: value for name, value in vars(owner).items() if counts(value)}


def restore_point(model: Any) -> Callable[[], None]:
    """Copy what a step changes without an optimizer: the state of `stateful_parts`, and the buffers
    of the model's networks. Returns: what puts it back.

    Args:
        model: a BaseModel.
    """
    parts = stateful_parts(model)
    others = [value for name, value in vars(model).items() if name not in parts]
    modules = [m for m in (*model.networks().values(), *others) if isinstance(m, nn.Module)]
    buffers = {id(buffer): buffer for module in modules for buffer in module.buffers()}.values()
    copies = [(buffer, buffer.clone()) for buffer in buffers]
    states = [(part, with_tensors(part.state_dict(), torch.clone)) for part in parts.values()]

    def restore() -> None:
        with torch.no_grad():
            for buffer, before in copies:
                buffer.copy_(before)
            for part, state in states:
                part.load_state_dict(state)

    return restore


@contextlib.contextmanager
def taking_up(run_dir: str | Path, state: dict) -> Iterator[None]:
    """Around what takes a training state up: one of an unexpected form ends in one line, before
    anything is written."""
    try:
        yield
    except UserError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as e:
        folder = Path(run_dir, "snapshots", f"{state['checkpoint']:04d}")
        why = f"{type(e).__name__}: {e}".splitlines()[0][:120]
        raise UserError(
            f"{folder}: its training state does not fit this training ({why}); move that folder "
            "away to go on from the checkpoint before, or choose another one by --epoch"
        ) from e


class StepUndo:
    """Takes a model back to where it was before the step at work, for a checkpoint of a training
    that cannot go on, e.g. for want of memory.

    Kept for that are random numbers, buffers of networks, image pools, and, in each of the step's
    updates but the last one, what is updated: nothing follows the last one that could fail. How
    many updates a step has is known from the step before; the first one cannot be undone.

    Args:
        model: a BaseModel.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.usual = self.updates = 0  # of the step before; of the step at work
        self.optimizers: list[torch.optim.Optimizer] = []  # whose tensors are kept
        self.kept: list[tuple[torch.Tensor, torch.Tensor]] = []  # (a tensor, as it was)
        self.pools: list[tuple[ImagePool, dict]] = []
        self.random: dict[str, Any] = {}

    def begin(self) -> None:
        """Before a step."""
        nets = self.model.networks().values()
        buffers = {id(buffer): buffer for net in nets for buffer in net.buffers()}
        parts = stateful_parts(self.model).values()
        self.usual, self.updates, self.optimizers = self.updates, 0, []
        self.kept = _copied(list(buffers.values()))
        self.pools = [(part, part.state_dict()) for part in parts if isinstance(part, ImagePool)]
        self.random = random_state()

    def before_update(self, optimizer: torch.optim.Optimizer) -> None:
        """Before each update of the step."""
        self.updates += 1
        if self.updates < self.usual and optimizer not in self.optimizers:
            self.optimizers.append(optimizer)
            tensors = [param for group in optimizer.param_groups for param in group["params"]]
            self.kept += _copied([*tensors, *tensors_in(list(optimizer.state.values()))])

    def undo(self) -> bool:
        """Take the step back. Returns: whether that was possible."""
        if self.updates >= self.usual:
            return False
        with torch.no_grad():
            for tensor, before in self.kept:
                tensor.copy_(before)
        for pool, state in self.pools:
            pool.load_state_dict(state)
        set_random_state(self.random)
        return True


def free_graphs(model: Any) -> None:
    """Free what a step has kept for its gradients, and these: nobody goes on with it."""
    for optimizer in model.optimizers:
        optimizer.zero_grad(set_to_none=True)
    for name, value in list(vars(model).items()):
        if isinstance(value, torch.Tensor) and value.grad_fn is not None:
            setattr(model, name, value.detach())
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _copied(tensors: list[torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Each tensor with a copy of it, made by few calls of the device."""
    plain = [tensor.detach() for tensor in tensors]
    copies = [torch.empty_like(tensor) for tensor in plain]
    if plain:
        torch._foreach_copy_(copies, plain)
    return list(zip(plain, copies, strict=True))


def first_epoch(state: dict | None, epoch_count: int, given: bool) -> int:
    """The epoch that a training begins with: that of the state which it goes on from, or
    `epoch_count` where there is none, or where somebody gave it."""
    return epoch_count if given or state is None else state["progress"]["epoch"]


def load_optimizers(optimizers: list[torch.optim.Optimizer], states: list[dict]) -> None:
    """Moments and counts from `states`; learning rates and other settings stay those of the
    options, as schedules have set them."""
    for optimizer, state in zip(optimizers, states, strict=True):
        fresh = [
            {key: value for key, value in group.items() if key != "params"}
            for group in optimizer.param_groups
        ]
        optimizer.load_state_dict(state)
        for weight, kept in optimizer.state.items():
            for name, value in kept.items() if isinstance(kept, dict) else ():
                if name in MOMENTS and getattr(value, "shape", None) != weight.shape:
                    raise ValueError(f"{name} is not of the shape of its weight")
        for group, settings in zip(optimizer.param_groups, fresh, strict=True):
            group.pop("initial_lr", None)
            group.update(settings)


def load_plateaus(schedulers: list[lr_scheduler.LRScheduler], states: list[dict]) -> None:
    """Only plateau has a memory: the other schedules are closed forms in the epoch, and may have
    been given new settings."""
    for scheduler, saved in zip(schedulers, states, strict=True):
        if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) and "best" in saved:
            scheduler.load_state_dict(saved)
            rates = saved["_last_lr"]
            for group, lr in zip(scheduler.optimizer.param_groups, rates, strict=True):
                group["lr"] = lr


def scheduler_state(scheduler: lr_scheduler.LRScheduler) -> dict:
    """Plateau's memory; nothing of a closed form."""
    return scheduler.state_dict() if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) else {}

"""What is done with gradients before each update: one hook, its order in one line."""

from __future__ import annotations

import weakref
from collections.abc import Iterable

from util.lazy import torch

Work = "Callable[[torch.optim.Optimizer], None]"  # torch is not needed for it yet
_hooks: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # optimizer -> its hook's handle


def prepare_optimizer(optimizer: torch.optim.Optimizer, works: Iterable[Work | None]) -> None:
    """Before each of the optimizer's updates, do these with it, in this order.

    Called again, it replaces what was asked before. Each finds in `param.grad` what those before it
    left; one that sets it to None leaves that weight out of the update.

    Args:
        works: None stands for one that there is not.
    """
    if optimizer in _hooks:
        _hooks.pop(optimizer).remove()
    works = [work for work in works if work is not None]

    def before_update(optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
        for work in works:
            work(optimizer)

    _hooks[optimizer] = optimizer.register_step_pre_hook(before_update)


def align_with_weights(optimizer: torch.optim.Optimizer) -> None:
    """Bring gradients and moments into the memory format of their weights: fused updates take
    them in the order of memory."""
    for group in optimizer.param_groups:
        for param in group["params"]:
            if param.grad is not None and param.grad.stride() != param.stride():
                param.grad = torch.empty_like(param).copy_(param.grad)
            for name, value in optimizer.state.get(param, {}).items():
                moment = isinstance(value, torch.Tensor) and value.shape == param.shape
                if moment and value.stride() != param.stride():
                    optimizer.state[param][name] = torch.empty_like(param).copy_(value)

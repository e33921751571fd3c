"""What a training needs besides its weights, as tensors and plain values."""

from __future__ import annotations

from typing import Any

from util.lazy import lr_scheduler, nn, torch


def stateful_parts(owner: object) -> dict[str, Any]:
    """Attribute name -> object, for what has a state of its own besides networks, optimizers and
    schedules: image pools, gradient scalers, averaged weights (AveragedModel)."""

    def counts(value: object) -> bool:
        if isinstance(value, nn.Module):
            return isinstance(value, torch.optim.swa_utils.AveragedModel)
        handled_elsewhere = (torch.optim.Optimizer, lr_scheduler.LRScheduler, type)
        return hasattr(value, "load_state_dict") and not isinstance(value, handled_elsewhere)

    return {name: value for name, value in vars(owner).items() if counts(value)}


def load_optimizers(optimizers: list[torch.optim.Optimizer], states: list[dict]) -> None:
    """Moments and counts from `states`; learning rates and other settings stay those of the
    options, which a schedule made afterwards starts from."""
    for optimizer, state in zip(optimizers, states, strict=True):
        fresh = [
            {key: value for key, value in group.items() if key != "params"}
            for group in optimizer.param_groups
        ]
        optimizer.load_state_dict(state)
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

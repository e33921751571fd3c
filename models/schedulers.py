"""Learning-rate schedules; all but plateau are closed forms in the epoch."""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Callable

from util.errors import choose
from util.lazy import lr_scheduler, torch

FEW = 5  # lines that a schedule may take
LR_POLICIES = ("linear", "step", "plateau", "cosine")


def lr_factor(
    policy: str, n_epochs: int, n_epochs_decay: int, lr_decay_iters: int
) -> Callable[[int], float]:
    """The function epoch (1, 2, ...) -> factor on the initial learning rate.

    linear: 1 for n_epochs, then in n_epochs_decay + 1 equal steps to 0. step: a tenth every
    lr_decay_iters epochs. cosine: half a wave that ends at n_epochs + n_epochs_decay (the reference
    comes back up after n_epochs).
    """
    total = n_epochs + n_epochs_decay

    def linear(epoch: int) -> float:
        return 1.0 - max(0, epoch - n_epochs) / (n_epochs_decay + 1)

    def step(epoch: int) -> float:
        return 0.1 ** ((epoch - 1) // lr_decay_iters)

    def cosine(epoch: int) -> float:
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (epoch - 1) / max(1, total))))

    return choose("lr_policy", policy, {"linear": linear, "step": step, "cosine": cosine})


def make_scheduler(
    optimizer: torch.optim.Optimizer,
    lr_policy: str,
    n_epochs: int,
    n_epochs_decay: int,
    lr_decay_iters: int,
    epoch_count: int = 1,
) -> lr_scheduler.LRScheduler:
    """A scheduler whose first epoch is `epoch_count`; `step()` it once after each epoch.

    plateau (a fifth after 5 epochs without an improvement of 1 %) takes `step(metric)`.
    """
    if lr_policy == "plateau":
        return lr_scheduler.ReduceLROnPlateau(
            optimizer, mode="min", factor=0.2, threshold=0.01, patience=5
        )
    factor = lr_factor(lr_policy, n_epochs, n_epochs_decay, lr_decay_iters)
    return lr_scheduler.LambdaLR(optimizer, lambda done: max(0.0, factor(done + epoch_count)))


def schedule_settings(opt: argparse.Namespace) -> dict:
    """The arguments of `make_scheduler` from parsed options."""
    names = ("lr_policy", "n_epochs", "n_epochs_decay", "lr_decay_iters", "epoch_count")
    return {name: vars(opt)[name] for name in names}


def get_scheduler(
    optimizer: torch.optim.Optimizer, opt: argparse.Namespace
) -> lr_scheduler.LRScheduler:
    """The plug-in contract's form of `make_scheduler`."""
    return make_scheduler(optimizer, **schedule_settings(opt))


def describe_schedule(
    lr: float,
    lr_policy: str,
    n_epochs: int,
    n_epochs_decay: int,
    lr_decay_iters: int,
    epoch_count: int,
) -> str:
    """The learning rate of each epoch, epochs with the same rate in one line; where it would take
    more than FEW lines, in one line how it goes."""
    last = n_epochs + n_epochs_decay
    if lr_policy == "plateau":
        return f"learning rate: {lr:g}, a fifth whenever the generator loss stops falling (plateau)"
    factor = lr_factor(lr_policy, n_epochs, n_epochs_decay, lr_decay_iters)
    rates = [(lr * max(0.0, factor(epoch)), epoch) for epoch in range(epoch_count, last + 1)]
    parts = []
    for rate, group in itertools.groupby(rates, key=lambda pair: pair[0]):
        epochs = [epoch for _, epoch in group]
        span = f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]}-{epochs[-1]}"
        parts.append((f"learning rate of epoch {span}: {rate:.3g}", rate))
    if len(parts) <= FEW:
        return "\n".join(line for line, _ in parts)
    (first, _), (_, end) = parts[0], parts[-1]
    way = {
        "linear": "then in equal steps",
        "step": f"then a tenth every {lr_decay_iters} epochs,",
        "cosine": "then along half a cosine wave",
    }[lr_policy]
    return f"{first}, {way} down to {end:.3g} in epoch {last} (--lr_policy {lr_policy})"

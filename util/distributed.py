"""Several processes on one run (`torchrun`); with one process everything here does nothing."""

from __future__ import annotations

import atexit
import contextlib
import datetime
import os
from typing import TypeVar

from util.lazy import dist, torch

T = TypeVar("T")
_control: dist.ProcessGroup | None = None  # for small decisions, by gloo, off the GPU's queue


def rank() -> int:
    """This process's number; 0 is the one that writes."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """How many processes share the run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """This process's number on its machine: the index of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def start(device: str) -> bool:
    """Join the group of processes, by nccl on GPUs and gloo elsewhere. Returns: whether this
    process is the one that writes."""
    if world_size() > 1 and not dist.is_initialized():
        cuda = torch.device(device).type == "cuda"
        if cuda:
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if cuda else "gloo")
        global _control
        _control = dist.new_group(backend="gloo")
        atexit.register(stop)
    return rank() == 0


def from_rank_0(value: T) -> T:
    """What rank 0 gave, on every process."""
    if not dist.is_initialized():
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def highest(*numbers: int) -> list[int]:
    """Each number's maximum over the processes: what one of them wants, all do in the same step."""
    if not dist.is_initialized():
        return list(numbers)
    box = torch.tensor(numbers)
    dist.all_reduce(box, dist.ReduceOp.MAX, group=_control)
    return box.tolist()


def gathered(value: T) -> list[T]:
    """The value of every process, in the order of their ranks; on rank 0, elsewhere empty."""
    if not dist.is_initialized():
        return [value]
    values: list = [None] * dist.get_world_size() if rank() == 0 else []
    dist.gather_object(value, values or None, dst=0, group=_control)
    return values


def stop() -> None:
    """Leave the group, with gloo together: a process that finds the others gone can hang there.
    After a failure the others are not waited for long."""
    if not dist.is_initialized():
        return
    if dist.get_backend() == "gloo":
        with contextlib.suppress(RuntimeError):
            dist.monitored_barrier(timeout=datetime.timedelta(seconds=10))
    dist.destroy_process_group()


def mean(value: float) -> float:
    """The mean of a number over the processes."""
    if not dist.is_initialized():
        return value
    values: list = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return sum(values) / len(values)


def average_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Replace an optimizer's gradients by their mean over the processes; to be done before each
    update.

    On the optimizer rather than by a wrapper around the network: the keys of state_dicts stay as
    they are, a network may be called several times before one backward pass (CycleGAN calls each
    generator up to three times), and plug-in models gain it without a change. A weight that has a
    gradient in some processes only counts as zero in the others; one that has none stays so.
    """
    if not dist.is_initialized():
        return
    params = [p for group in optimizer.param_groups for p in group["params"]]
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in params]
    missing = [number for number, param in enumerate(params) if param.grad is None]
    given = grads[0].new_ones(len(params))  # in how many processes a weight has a gradient
    if missing:
        given[missing] = 0
    flat = torch.cat([*(grad.reshape(-1) for grad in grads), given])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    *means, given = flat.split([*(grad.numel() for grad in grads), len(params)])
    for grad, mean in zip(grads, means, strict=True):
        grad.copy_(mean.view_as(grad))
    for number in missing:
        if given[number] > 0:
            params[number].grad = grads[number]

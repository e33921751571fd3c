"""Several processes on one run (`torchrun`); with one process everything here does nothing."""

from __future__ import annotations

import atexit
import contextlib
import datetime
import functools
import os
from typing import NamedTuple, TypeVar

from util.errors import UserError, say
from util.lazy import dist, torch

T = TypeVar("T")
_control: dist.ProcessGroup | None = None  # for small decisions, by gloo, off the GPU's queue


class Launch(NamedTuple):
    """This process among those that a launcher has started together.

    Args:
        rank: its number; 0 is the one that writes.
        world_size: how many share the run.
        local_rank: its number on its machine.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0


REMEDY = "start several processes with torchrun --nproc_per_node=N, or one after `unset WORLD_SIZE`"


def _launch() -> Launch:
    names = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    return _launch_of(*(os.environ.get(name) or None for name in names))


@functools.cache
def _launch_of(
    world_size: str | None, rank: str | None, local_rank: str | None,
    address: str | None, port: str | None,
) -> Launch:  # fmt: skip
    """What the variables of a launcher say. Without WORLD_SIZE, or with 1, there is one process,
    and what else stands in its environment was left there by others.

    Raises:
        UserError: there are to be several, and a variable is missing or wrong.
    """
    if world_size is None or (size := _number("WORLD_SIZE", world_size, 1)) == 1:
        return Launch()
    for name, value in (("RANK", rank), ("MASTER_ADDR", address), ("MASTER_PORT", port)):
        if value is None:
            raise UserError(f"WORLD_SIZE={world_size} is set, {name} is not: {REMEDY}")
    _number("MASTER_PORT", port, 1, 65535)
    numbers = _number("RANK", rank, 0, size - 1), _number("LOCAL_RANK", local_rank or "0", 0)
    return Launch(numbers[0], size, numbers[1])


def _number(name: str, value: str, least: int, most: int | None = None) -> int:
    plain = value.strip().removeprefix("-")
    number = int(value) if plain.isascii() and plain.isdigit() and len(plain) < 10 else least - 1
    if number < least or (most is not None and number > most):
        limit = f"from {least} up" if most is None else f"from {least} to {most}"
        raise UserError(f"{name}={value}: accepted: a whole number {limit}; {REMEDY}")
    return number


def rank() -> int:
    """This process's number; 0 is the one that writes."""
    return _launch().rank


def world_size() -> int:
    """How many processes share the run."""
    return _launch().world_size


def local_rank() -> int:
    """This process's number on its machine: the index of its GPU."""
    return _launch().local_rank


def speaks() -> bool:
    """Whether this process is the one that prints; each tells what is wrong with its launcher."""
    try:
        return rank() == 0
    except UserError:
        return True


def refuse_several(what: str) -> None:
    """Raise UserError if several processes are to do what one does."""
    if world_size() > 1:
        raise UserError(
            f"{what} runs as one process, and WORLD_SIZE={world_size()} is set; start it without "
            "torchrun, or after `unset WORLD_SIZE`"
        )


def start(device: str) -> bool:
    """Join the group of processes, by nccl on GPUs and gloo elsewhere. Returns: whether this
    process is the one that writes.

    Raises:
        UserError: the launcher's variables are wrong, or the others cannot be reached.
    """
    if world_size() > 1 and not dist.is_initialized():
        cuda = torch.device(device).type == "cuda"
        if cuda:
            torch.cuda.set_device(device)
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        if "TORCHELASTIC_RUN_ID" not in os.environ:  # torchrun has brought them together already
            say(f"waiting for all {world_size()} processes at {place}")
        try:
            dist.init_process_group("nccl" if cuda else "gloo")
        except (RuntimeError, ValueError, OSError) as error:
            why = str(error).strip().split("\n")[0]
            raise UserError(
                f"process {rank()} of {world_size()} cannot join the others at {place} ({why}); "
                f"{REMEDY}"
            ) from error
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

"""Non-finite numbers: found within the step, kept out of weights and checkpoints."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from util import distributed
from util.checkpoints.state import restore_point
from util.checkpoints.weights import save_file
from util.errors import NonFinite, warn
from util.lazy import torch
from util.tensors import all_finite
from util.training.types import BaseModel

MOST_SKIPPED = 10  # steps in a row


@dataclass
class GuardedStep:
    """A step whose numbers are looked at.

    Args:
        number: from 1, counted in this session.
        restore: puts back what the step changed besides weights (`--on_nan skip`).
        paths: the batch's files.
        non_finite: once its losses are there: whether a number is not finite, () bool, on the CPU.
        arrived: on a GPU the event after which `non_finite` may be read.
    """

    number: int
    epoch: int
    batch: dict
    restore: Callable[[], None]
    paths: list[str]
    non_finite: torch.Tensor | None = None
    arrived: torch.cuda.Event | None = None


class NanGuard:
    """Looks at the gradients before each update, and at the losses after each step.

    An update with a non-finite gradient is not made. Without a GPU that is found at once; on one,
    the check stays on the device (fused optimizers leave the update out by themselves), and the
    host reads its result one or two steps later, without waiting. Optimizers that are not fused
    have to wait.

    Args:
        model: register it after its optimizers exist.
        on_nan: "stop" raises NonFinite; "skip" goes on with the next batch, but stops after
            MOST_SKIPPED in a row.
        folder: where the batch is kept for a look.
        on_device: check on the device; None: where it is a GPU.
    """

    def __init__(
        self, model: BaseModel, on_nan: str, folder: str | Path, on_device: bool | None = None
    ) -> None:
        self.model, self.on_nan, self.folder = model, on_nan, Path(folder)
        self.on_device = torch.cuda.is_initialized() if on_device is None else on_device
        self.skipped = self.in_a_row = 0
        self.step: GuardedStep | None = None  # at work
        self.flags: list[torch.Tensor] = []  # of its updates: whether a gradient was not finite
        self.unread: deque[GuardedStep] = deque()  # oldest first
        model.prepare_optimizers(self.check_gradients)

    def begin_step(self, number: int, epoch: int, batch: dict) -> None:
        """Note what the coming step is about, and what it may change."""
        restore = restore_point(self.model) if self.on_nan == "skip" else lambda: None
        self.step, self.flags = GuardedStep(number, epoch, batch, restore, paths=[]), []

    def check_gradients(self, optimizer: torch.optim.Optimizer) -> None:
        """Before an update: leave it out if a gradient is not finite.

        `found_inf` and `grad_scale` are the undocumented half of torch.amp.GradScaler: fused
        optimizers read them, and make no update where `found_inf` is 1.
        """
        params = [p for group in optimizer.param_groups for p in group["params"]]
        grads = [p.grad for p in params if p.grad is not None]
        if not grads:
            return
        fused = all(group.get("fused") for group in optimizer.param_groups)
        on_device = self.on_device and fused
        flag = _non_finite(grads) if on_device else torch.tensor(not all_finite(grads))
        self.flags.append(flag)
        if on_device:
            optimizer.found_inf, optimizer.grad_scale = flag.float(), None
        elif flag:
            for param in params:
                param.grad = None  # torch's optimizers leave such parameters as they are

    def check_step(self) -> None:
        """After the step's updates: look at its losses; raises NonFinite."""
        losses = self.model.current_losses().values()
        tensors = [loss.detach() for loss in losses if isinstance(loss, torch.Tensor)]
        flags = self.flags + [~torch.isfinite(loss).all() for loss in tensors]
        cpu = torch.device("cpu")
        device = next((flag.device for flag in flags if flag.device != cpu), cpu)
        # A plain number, e.g. of a loss that is turned off, has no business on a GPU: the host
        # would wait until it has gone over.
        if not all(math.isfinite(v) for v in losses if not isinstance(v, torch.Tensor)):
            flags.append(torch.ones((), dtype=torch.bool, device=device))
        if not flags:
            return
        step = self.step
        flag = torch.stack([flag.to(device, non_blocking=True) for flag in flags]).any()
        if self.on_device and flag.is_cuda:
            flag = flag.to("cpu", non_blocking=True)
            step.arrived = torch.cuda.Event()
            step.arrived.record()
        step.non_finite, step.paths = flag, list(self.model.get_image_paths())
        self.unread.append(step)
        self.read_results(wait=False)

    def read_results(self, wait: bool = True) -> None:
        """Look at the steps whose result has come; with `wait` at all of them (before a save)."""
        while self.unread:
            step = self.unread[0]
            if step.arrived is not None:
                if not wait and not step.arrived.query():
                    return
                step.arrived.synchronize()
            self.unread.popleft()
            if step.non_finite.item():
                self._skip_or_stop(step)
            else:
                self.in_a_row = 0

    def _skip_or_stop(self, step: GuardedStep) -> None:
        losses = {name: float(value) for name, value in self.model.current_losses().items()}
        what = [f"{name} is {value}" for name, value in losses.items() if not math.isfinite(value)]
        elsewhere = not what and distributed.world_size() > 1
        what = f"loss {', '.join(what)}" if what else "a gradient is not finite"
        files = ", ".join(map(str, step.paths)) or "unknown"
        where = f"in step {step.number} (epoch {step.epoch}"
        self.skipped, self.in_a_row = self.skipped + 1, self.in_a_row + 1
        if self.on_nan == "skip" and self.in_a_row <= MOST_SKIPPED:
            step.restore()
            warn(f"{what} {where}, {files}); left out, {self.skipped} so far")
            return
        if elsewhere:
            raise NonFinite(f"{what} {where}): that of another process")
        own = f"_rank{distributed.rank()}" if distributed.world_size() > 1 else ""
        kept = self.folder / f"not_finite_step{step.number}{own}.pth"
        content = {"batch": step.batch, "losses": losses, "step": step.number, "epoch": step.epoch}
        save_file(content, kept)
        many = f" for {self.in_a_row} steps in a row" if self.on_nan == "skip" else ""
        raise NonFinite(
            f"{what} {where}){many}; its files: {files}; the batch is kept in {kept}; lower --lr, "
            "look at the files, or leave such steps out with --on_nan skip"
        )


def _non_finite(tensors: list[torch.Tensor]) -> torch.Tensor:
    """Whether a number among tensors is NaN or infinite, without waiting for the device."""
    if not hasattr(torch.nn.utils, "get_total_norm"):  # before torch 2.6
        return ~torch.stack([torch.isfinite(tensor).all() for tensor in tensors]).all()
    return ~torch.isfinite(torch.nn.utils.get_total_norm(tensors, norm_type=math.inf))

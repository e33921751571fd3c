"""Non-finite numbers: found within the step, kept out of weights and checkpoints."""

from __future__ import annotations

import functools
import math
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from util import distributed
from util.checkpoints.weights import save_file
from util.errors import NonFinite, warn
from util.image_pool import ImagePool
from util.lazy import nn, torch

ON_NAN = ("stop", "skip")
MOST_SKIPPED = 10  # steps in a row


class Watched(Protocol):
    """What a model tells about its step."""

    optimizers: list[torch.optim.Optimizer]

    def networks(self) -> dict[str, nn.Module]: ...

    def get_image_paths(self) -> list[str]: ...

    def current_losses(self) -> dict[str, torch.Tensor | float]: ...


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
        self, model: Watched, on_nan: str, folder: str | Path, on_device: bool | None = None
    ) -> None:
        self.model, self.on_nan, self.folder = model, on_nan, Path(folder)
        self.on_device = torch.cuda.is_initialized() if on_device is None else on_device
        self.skipped = self.in_a_row = 0
        self.step, self.epoch, self.batch = 0, 0, {}
        self.bad: list[torch.Tensor] = []  # flags of this step's updates
        self.before: list[Callable[[], None]] = []  # what takes back the rest of the step
        self.unread: deque = deque()  # (flag, event, step, epoch, batch, paths, before)
        for optimizer in model.optimizers:
            optimizer.register_step_pre_hook(self._before_update)

    def begin_step(self, step: int, epoch: int, batch: dict) -> None:
        """Note what the coming step is about."""
        self.step, self.epoch, self.batch, self.bad = step, epoch, batch, []
        if self.on_nan == "skip":
            self.before = self._way_back()

    def _way_back(self) -> list[Callable[[], None]]:
        """Statistics of norms and histories of images change without an optimizer."""
        buffers = [b for net in self.model.networks().values() for b in net.buffers()]
        undo = [functools.partial(buffer.copy_, buffer.clone()) for buffer in buffers]
        for pool in vars(self.model).values():
            if isinstance(pool, ImagePool):
                undo.append(functools.partial(setattr, pool, "images", list(pool.images)))
        return undo

    def _before_update(self, optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
        params = [p for group in optimizer.param_groups for p in group["params"]]
        grads = [p.grad for p in params if p.grad is not None]
        if not grads:
            return
        fused = all(group.get("fused") for group in optimizer.param_groups)
        on_device = self.on_device and fused
        bad = _has_bad(grads) if on_device else torch.tensor(not all_finite(grads))
        self.bad.append(bad)
        if on_device:
            optimizer.found_inf, optimizer.grad_scale = bad.float(), None
        elif bad:
            for param in params:
                param.grad = None  # torch's optimizers leave such parameters as they are

    def check_step(self) -> None:
        """After the step's updates: look at its losses; raises NonFinite."""
        losses = self.model.current_losses().values()
        tensors = [loss.detach() for loss in losses if isinstance(loss, torch.Tensor)]
        flags = self.bad + [~torch.isfinite(loss).all() for loss in tensors]
        cpu = torch.device("cpu")
        device = next((flag.device for flag in flags if flag.device != cpu), cpu)
        # A plain number, e.g. of a loss that is turned off, has no business on a GPU: the host
        # would wait until it has gone over.
        if not all(math.isfinite(v) for v in losses if not isinstance(v, torch.Tensor)):
            flags.append(torch.ones((), dtype=torch.bool, device=device))
        if not flags:
            return
        flag = torch.stack([flag.to(device, non_blocking=True) for flag in flags]).any()
        event = None
        if self.on_device and flag.is_cuda:
            flag = flag.to("cpu", non_blocking=True)
            event = torch.cuda.Event()
            event.record()
        paths = list(self.model.get_image_paths())
        about = (self.step, self.epoch, self.batch, paths, self.before)
        self.unread.append((flag, event, *about))
        self.read_results(wait=False)

    def read_results(self, wait: bool = True) -> None:
        """Look at the steps whose result has come; with `wait` at all of them (before a save)."""
        while self.unread:
            flag, event, *about = self.unread[0]
            if event is not None and not wait and not event.query():
                return
            if event is not None:
                event.synchronize()
            self.unread.popleft()
            if flag.item():
                self._found(*about)
            else:
                self.in_a_row = 0

    def _found(
        self, step: int, epoch: int, batch: dict, paths: list[str], before: list[Callable]
    ) -> None:
        losses = {name: float(value) for name, value in self.model.current_losses().items()}
        what = [f"{name} is {value}" for name, value in losses.items() if not math.isfinite(value)]
        elsewhere = not what and distributed.world_size() > 1
        what = f"loss {', '.join(what)}" if what else "a gradient is not finite"
        files = ", ".join(map(str, paths)) or "unknown"
        self.skipped, self.in_a_row = self.skipped + 1, self.in_a_row + 1
        if self.on_nan == "skip" and self.in_a_row <= MOST_SKIPPED:
            for take_back in before:
                take_back()
            warn(f"{what} in step {step} (epoch {epoch}, {files}); left out, {self.skipped} so far")
            return
        if elsewhere:
            raise NonFinite(f"{what} in step {step} (epoch {epoch}): that of another process")
        own = f"_rank{distributed.rank()}" if distributed.world_size() > 1 else ""
        kept = self.folder / f"not_finite_step{step}{own}.pth"
        save_file({"batch": batch, "losses": losses, "step": step, "epoch": epoch}, kept)
        many = f" for {self.in_a_row} steps in a row" if self.on_nan == "skip" else ""
        raise NonFinite(
            f"{what} in step {step} (epoch {epoch}){many}; its files: {files}; the batch is kept "
            f"in {kept}; lower --lr, look at the files, or leave such steps out with --on_nan skip"
        )


def _has_bad(tensors: list[torch.Tensor]) -> torch.Tensor:
    """Whether a number among tensors is NaN or infinite, without waiting for the device."""
    return ~torch.isfinite(torch.stack(torch._foreach_norm(tensors, ord=math.inf))).all()


def all_finite(tensors: Iterable[torch.Tensor]) -> bool:
    """Whether no number among floating-point tensors is NaN or infinite; waits for the device."""

    def finite(tensor: torch.Tensor) -> bool:
        # One bad number spoils the sum, which takes a tenth of the time; too large a sum does not
        # prove one.
        return bool(tensor.sum(dtype=torch.float32).isfinite() or tensor.isfinite().all())

    return all(finite(tensor) for tensor in tensors if tensor.is_floating_point())

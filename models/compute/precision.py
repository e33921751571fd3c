"""Number formats that networks compute in. Weights, losses and optimizers stay in float32.

A network is told once, by `configure`, and casts its own input and output: what calls it, plug-ins
too, needs no autocast region and no scaler of its own.
"""

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from util.errors import UserError, warn
from util.tensors import with_tensors

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def check_precision(precision: str, device: torch.device) -> None:
    """Raise UserError if the device does not compute in it; say so if it does, but slowly."""
    if precision == "fp16" and device.type != "cuda":
        raise UserError(f"--precision fp16: for GPUs, not for {device}; accepted here: fp32, bf16")
    if precision == "bf16" and device.type == "cpu":
        if not cpu_has_bf16():
            raise UserError("--precision bf16: this CPU cannot compute in it; use --precision fp32")
        if torch.backends.cpu.get_cpu_capability() == "AVX2":
            warn(
                "--precision bf16: this CPU has no AVX-512; convolutions take many times as long "
                "as with --precision fp32"
            )


@functools.cache
def cpu_has_bf16() -> bool:
    """Whether a convolution in bf16 works here, fast or not: it is tried."""
    one = torch.ones((1, 1, 1, 1), dtype=torch.bfloat16)
    try:
        return F.conv2d(one, one).item() == 1
    except RuntimeError:
        return False


def in_half(
    forward: Callable[..., object], dtype: torch.dtype, scale: "LossScale | None" = None
) -> Callable[..., object]:
    """The form of a network that computes in bf16 or fp16 where that is safe (torch.autocast:
    convolutions yes, the statistics of norms no), and gives float32, features too.

    Args:
        scale: of fp16's gradients, inside of the network only.
    """

    def rounded(net: nn.Module, *inputs: object, **options: object) -> object:
        scaling = scale is not None and torch.is_grad_enabled()
        if scaling:
            inputs, options = with_tensors((inputs, options), scale.unscaled)
        given = (*inputs, *options.values())
        device = next((v.device.type for v in given if isinstance(v, torch.Tensor)), "cpu")
        with torch.autocast(device, dtype):
            outputs = forward(net, *inputs, **options)
        outputs = with_tensors(outputs, lambda t: t.float() if t.is_floating_point() else t)
        return with_tensors(outputs, scale.scaled) if scaling else outputs

    return rounded


class _GradientTimes(torch.autograd.Function):
    """The same numbers; the gradient is multiplied on its way back."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(factor)
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0], None


class LossScale:
    """Keeps the small gradients of fp16 above zero (Micikevicius et al. 2018, section 3.2).

    Gradients are multiplied where they enter a network and divided where they leave it; those of
    the weights are divided before the update. One that overflows is left out, and the factor
    halved; after `patience` updates without, it is doubled.
    """

    def __init__(self, device: torch.device, factor: float = 2.0**16, patience: int = 2000) -> None:
        self.factor = torch.tensor(factor, device=device)
        self.patience, self.good = patience, 0

    def scaled(self, output: torch.Tensor) -> torch.Tensor:
        """A network's output; its gradient comes multiplied."""
        return self._times(output, self.factor)

    def unscaled(self, input: torch.Tensor) -> torch.Tensor:
        """A network's input; its gradient leaves divided."""
        return self._times(input, 1 / self.factor)

    def _times(self, tensor: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        return _GradientTimes.apply(tensor, factor) if tensor.is_floating_point() else tensor

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradients of the weights; take them away if one overflowed. To be done before
        the optimizer's update. Waits for the device."""
        params = [p for group in optimizer.param_groups for p in group["params"]]
        grads = [p.grad for p in params if p.grad is not None]
        if not grads:
            return
        for grad in grads:
            grad.mul_(1 / self.factor)
        if not torch.stack([grad.isfinite().all() for grad in grads]).all().item():
            self.factor, self.good = self.factor / 2, 0
            for param in params:
                param.grad = None  # torch's optimizers leave such parameters as they are
        elif (good := self.good + 1) >= self.patience:
            self.factor, self.good = self.factor * 2, 0
        else:
            self.good = good

    def state_dict(self) -> dict:
        """Factor and count, to go on with."""
        return {"factor": self.factor, "good": self.good}

    def load_state_dict(self, state: dict) -> None:
        """Take `state_dict()` back."""
        self.factor, self.good = state["factor"].to(self.factor.device), state["good"]

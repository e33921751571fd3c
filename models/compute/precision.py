"""Number formats that networks compute in. Weights, losses and optimizers stay in float32.

A network is told once, by `compute_in`, and casts its own input and output: what calls it, plug-ins
too, needs no autocast region and no scaler of its own.
"""

import types

import torch
from torch import nn

from util.errors import UserError
from util.tensors import with_tensors

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def refuse_precision(precision: str, device: torch.device) -> None:
    """Raise UserError if the device does not compute in it."""
    if precision == "fp16" and device.type != "cuda":
        raise UserError(f"--precision fp16: for GPUs, not for {device}; accepted here: fp32, bf16")
    bf16_cpu = device.type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported()
    if precision == "bf16" and not bf16_cpu:
        raise UserError("--precision bf16: this CPU cannot compute in it; use --precision fp32")


def use_tf32(precision: str) -> None:
    """Whether a GPU's matrix products and convolutions may round their factors to 10 bits; `auto`
    leaves that as torch has it (convolutions do)."""
    if precision in ("fp32", "tf32"):
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.allow_tf32 = precision == "tf32"


def compute_in(net: nn.Module, precision: str, scale: "LossScale | None" = None) -> None:
    """Let a network compute in `bf16` or `fp16` where that is safe (torch.autocast: convolutions
    yes, the statistics of norms no), and give float32.

    Args:
        scale: of fp16's gradients, inside of the network only.
    """
    net.half_dtype, net.loss_scale = DTYPES[precision], scale
    net.forward = types.MethodType(_forward, net)  # a method: a deep copy calls its own layers


def _forward(net: nn.Module, *inputs: object, **options: object) -> object:
    scale = net.loss_scale if torch.is_grad_enabled() else None
    if scale is not None:
        inputs = with_tensors(inputs, scale.unscaled)
    device = next((v.device.type for v in inputs if isinstance(v, torch.Tensor)), "cpu")
    with torch.autocast(device, net.half_dtype):
        outputs = type(net).forward(net, *inputs, **options)
    outputs = with_tensors(outputs, lambda t: t.float() if t.is_floating_point() else t)
    return outputs if scale is None else with_tensors(outputs, scale.scaled)


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
        return self._times(output, self.factor)

    def unscaled(self, input: torch.Tensor) -> torch.Tensor:
        return self._times(input, 1 / self.factor)

    def _times(self, tensor: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        return _GradientTimes.apply(tensor, factor) if tensor.is_floating_point() else tensor

    def before_update(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        """To be registered as a pre-hook of the optimizer's step. Waits for the device."""
        params = [p for group in optimizer.param_groups for p in group["params"]]
        grads = [p.grad for p in params if p.grad is not None]
        if not grads:
            return
        overflow = torch.zeros_like(self.factor)
        torch._amp_foreach_non_finite_check_and_unscale_(grads, overflow, 1 / self.factor)
        if overflow.item():
            self.factor, self.good = self.factor / 2, 0
            for param in params:
                param.grad = None  # torch's optimizers leave such parameters as they are
        elif (good := self.good + 1) >= self.patience:
            self.factor, self.good = self.factor * 2, 0
        else:
            self.good = good

    def state_dict(self) -> dict:
        return {"factor": self.factor, "good": self.good}

    def load_state_dict(self, state: dict) -> None:
        self.factor, self.good = state["factor"].to(self.factor.device), state["good"]

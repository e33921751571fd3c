"""How networks compute: memory format, number format, compiled or not; their numbers stay."""

import ctypes
import functools
import platform
from collections.abc import Callable, Collection

import torch
from torch import nn

from models.compute.fast_layers import use_fast_layers
from models.compute.precision import DTYPES, LossScale, compute_in, refuse_precision, use_tf32
from util.tensors import with_tensors

NARROW = 16  # channels of the first layer, below which nothing is changed


def prepare(
    nets: Collection[nn.Module], device: torch.device, precision: str, memory_format: str,
    compiled: bool, fixed_size: bool,
) -> LossScale | None:  # fmt: skip
    """Make networks, on their device, ready to compute as the options say.

    Args:
        precision: one of PRECISIONS; memory_format: one of MEMORY_FORMATS.
        compiled: by torch.compile, at the first call; state_dict keys stay.
        fixed_size: whether all images have one size.

    Returns: what fp16 needs at each update.

    Raises:
        UserError: the device does not compute in this precision.
    """
    refuse_precision(precision, device)
    if device.type == "cuda":
        use_tf32(precision)
        torch.backends.cudnn.benchmark = fixed_size and not torch.backends.cudnn.deterministic
    if device.type == "cpu":
        keep_freed_memory()
    scale = LossScale(device) if precision == "fp16" else None
    for net in nets:
        chosen = memory_format
        if memory_format == "auto":
            chosen = choose_memory_format(net, device, precision)
        if chosen == "channels_last":
            net.to(memory_format=torch.channels_last)
        if not is_narrow(net):
            use_fast_layers(net)
        if precision in DTYPES:
            compute_in(net, precision, scale)
        if compiled:
            _compile(net, device, fixed_size)
    return scale


def choose_memory_format(net: nn.Module, device: torch.device, precision: str) -> str:
    """channels_last where it measured faster, on a CPU; see benchmarks/layers.py. In fp32 torch
    copies the weights of transposed convolutions at each call: not for large ones. On a GPU torch's
    own format."""
    large = any(isinstance(m, nn.ConvTranspose2d) and m.in_channels >= 512 for m in net.modules())
    gains = not is_narrow(net) and (precision in DTYPES or not large)
    return "channels_last" if device.type == "cpu" and gains else "contiguous"


def is_narrow(net: nn.Module) -> bool:
    """Whether a network is left as it is: with few channels a tenth of little could be gained, and
    sums in another order end in other ReLUs, which moves the losses of toy networks visibly."""
    first = next((m for m in net.modules() if isinstance(m, nn.Conv2d)), None)
    return first is None or first.out_channels < NARROW


def _compile(net: nn.Module, device: torch.device, fixed_size: bool) -> None:
    """For images of many sizes it is compiled a few times, and then runs as it is.

    On a GPU with images of one size, what a call launches is recorded once and replayed (CUDA
    graphs); results then lie in memory that the next call may use: hence the copies."""
    graphs = device.type == "cuda" and fixed_size
    net.compile(mode="reduce-overhead" if graphs else None, dynamic=False if fixed_size else None)
    if graphs:  # a hook would be recorded with the rest: the copy has to be made around it
        net._compiled_call_impl = functools.partial(_copied, net._compiled_call_impl)


def _copied(recorded: Callable[..., object], *inputs: object, **options: object) -> object:
    return with_tensors(recorded(*inputs, **options), torch.clone)


@functools.cache
def keep_freed_memory() -> None:
    """Let the C library keep what is freed: a step asks for the same large pieces each time, and
    pages that come fresh from the system have to be cleared first. Only glibc can be told."""
    if libc := _glibc():
        m_trim_threshold, m_mmap_threshold, m_mmap_max, largest = -1, -3, -4, 2**31 - 1
        if not libc.mallopt(m_mmap_threshold, largest):  # older versions have a small limit
            libc.mallopt(m_mmap_max, 0)
        libc.mallopt(m_trim_threshold, largest)


def give_back_freed_memory(device: torch.device) -> None:
    """The opposite, for once, on a CPU: what has to be asked for again costs time."""
    if device.type == "cpu" and (libc := _glibc()):
        libc.malloc_trim(0)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def align_with_weights(optimizer: torch.optim.Optimizer, *_: object) -> None:
    """Bring gradients and moments into the memory format of their weights: fused updates take
    them in the order of memory. To be registered as a pre-hook of the optimizer's step."""
    for group in optimizer.param_groups:
        for param in group["params"]:
            if param.grad is not None and param.grad.stride() != param.stride():
                param.grad = torch.empty_like(param).copy_(param.grad)
            for name, value in optimizer.state.get(param, {}).items():
                moment = isinstance(value, torch.Tensor) and value.shape == param.shape
                if moment and value.stride() != param.stride():
                    optimizer.state[param][name] = torch.empty_like(param).copy_(value)

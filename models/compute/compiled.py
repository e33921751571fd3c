"""Networks compiled by torch, at their first call."""

from collections.abc import Callable

import torch
from torch import nn

from util.tensors import with_tensors


def compiled(
    forward: Callable[..., object], graphs: bool, fixed_size: bool
) -> Callable[..., object]:
    """The form of a network whose `forward(net, ...)` is compiled, state_dict keys and all else
    unchanged. For images of many sizes it is compiled a few times, and then runs as it is.

    Args:
        graphs: what a call launches is recorded once and replayed (CUDA graphs). Results then lie
            in memory that the next call may use: copies are given.
        fixed_size: whether all images have one size.
    """
    mode, dynamic = "reduce-overhead" if graphs else None, False if fixed_size else None
    fast = torch.compile(forward, mode=mode, dynamic=dynamic)
    if not graphs:
        return fast

    def copied(net: nn.Module, *inputs: object, **options: object) -> object:
        """A hook would be recorded with the rest: the copy has to be made around it."""
        return with_tensors(fast(net, *inputs, **options), torch.clone)

    return copied

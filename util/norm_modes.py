"""How norms and dropout behave in test."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from util.lazy import F, nn


def set_test_mode(nets: Iterable[nn.Module], eval_mode: bool) -> str:
    """Set norms and dropout of networks for test, and say how.

    Args:
        eval_mode: running statistics and no dropout. Else both as in training (pix2pix, section
            3.4), batch norm by each image's own statistics, so that a picture does not depend on
            its neighbours in the batch.
    """
    modules = [module for net in nets for module in net.train(not eval_mode).modules()]
    kinds = sorted({type(m).__name__ for m in modules if "Norm" in type(m).__name__})
    norm_layers = " and ".join(kinds) or "no norm layers"
    if eval_mode:
        return f"{norm_layers} by running statistics if it has any, no dropout (--eval)"
    batch_norms = [m for m in modules if isinstance(m, nn.BatchNorm2d)]
    for norm in batch_norms:
        norm.forward = functools.partial(
            F.instance_norm, weight=norm.weight, bias=norm.bias, eps=norm.eps
        )
    own = " by each image's own statistics" if batch_norms else ""
    dropout = any(isinstance(m, nn.Dropout) and m.p > 0 for m in modules)
    return f"{norm_layers}{own}, {'dropout on, as in training' if dropout else 'no dropout'}"

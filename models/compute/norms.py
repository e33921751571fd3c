"""How norms and dropout behave in test."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from util.lazy import F, nn, torch


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
            norm_each_image, weight=norm.weight, bias=norm.bias, eps=norm.eps
        )
    own = " by each image's own statistics" if batch_norms else ""
    dropout = any(_drops(m) for m in modules)
    return f"{norm_layers}{own}, {'dropout on, as in training' if dropout else 'no dropout'}"


def norm_each_image(
    x: torch.Tensor,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> torch.Tensor:
    """F.instance_norm of (N, C, H, W) as batch norm of one image after the other: torch's instance
    norm copies channels_last images first, and needs three times as long."""
    how = {"weight": weight, "bias": bias, "training": True, "eps": eps}
    if len(x) == 1:
        return F.batch_norm(x, None, None, **how)
    return torch.cat([F.batch_norm(image, None, None, **how) for image in x.split(1)])


class ImageNoise:
    """Dropout whose noise is drawn for each image apart, so that it does not depend on neighbours
    in the batch. On the CPU it is the noise that dropout draws for an image alone.

    Args:
        nets: their dropouts are changed; set to test already.
        device: where they are.
    """

    def __init__(self, nets: Iterable[nn.Module], device: torch.device) -> None:
        self.device, self.generators = device, []
        for module in (module for net in nets for module in net.modules()):
            if _drops(module):
                module.forward = functools.partial(self._drop, module.p)

    def seed(self, seeds: list[int]) -> None:
        """Give each image of the coming batch a seed."""
        self.generators = [torch.Generator(self.device).manual_seed(seed) for seed in seeds]

    def _drop(self, p: float, features: torch.Tensor) -> torch.Tensor:
        """(N, ...) -> the same shape, values zero with probability p."""
        if len(features) != len(self.generators):  # of another thing than the images
            return F.dropout(features, p)
        noise = torch.empty(features.shape, dtype=features.dtype, device=features.device)
        for image, generator in zip(noise, self.generators, strict=True):
            image.bernoulli_(1 - p, generator=generator)
        return features * noise.div_(1 - p)


def _drops(module: nn.Module) -> bool:
    return isinstance(module, nn.Dropout) and module.training and module.p > 0

"""Norms and dropout in test, where each image is to be treated as if it were alone."""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import handle_torch_function, has_torch_function_unary

Statistics = tuple[torch.Tensor, torch.Tensor]  # mean and variance of each channel, (C,)
LARGE_PX = 2**13  # of an image, from which on sums in float32 lose digits that can be seen
STRIP_PX = 4096  # that are summed in float32
GROUP_NUMBERS = 2**24  # of noise that are drawn at once


def is_batch_norm(layer: nn.Module) -> bool:
    """Of images, also over several processes."""
    return isinstance(layer, nn.BatchNorm2d)


def own_statistics(norm: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
    """Batch norm of (N, C, H, W) by each image's own statistics, while the layer is in training
    mode; its running statistics stay as they are."""
    if not norm.training:
        return type(norm).forward(norm, x)
    return norm_each_image(x, norm.weight, norm.bias, norm.eps)


def statistics_in_one(norm: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
    """`own_statistics` without a loop over the batch, whatever number of images there will be."""
    if not norm.training:
        return type(norm).forward(norm, x)
    return F.instance_norm(x, weight=norm.weight, bias=norm.bias, eps=norm.eps)


def norm_each_image(
    x: torch.Tensor,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> torch.Tensor:
    """F.instance_norm of (N, C, H, W) as batch norm of one image after the other: torch's instance
    norm copies channels_last images first, and needs three times as long."""
    if len(x) == 1 and _loses_digits(x):
        sums = Sums()
        sums.add(x)
        return F.batch_norm(x, *sums.statistics(), weight, bias, False, 0.0, eps)
    how = {"weight": weight, "bias": bias, "training": True, "eps": eps}
    if len(x) == 1:
        return F.batch_norm(x, None, None, **how)
    return torch.cat([F.batch_norm(image, None, None, **how) for image in x.split(1)])


def _loses_digits(x: torch.Tensor) -> bool:
    """Whether torch's own norm of an image's features would be less exact than float32 can be: on
    a CPU it adds pixel after pixel of channels_last ones. Not where gradients are wanted."""
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_grad_enabled()
    return (
        plain
        and x.shape[2:].numel() > LARGE_PX
        and x.is_contiguous(memory_format=torch.channels_last)
        and not torch.compiler.is_compiling()
    )


class Sums:
    """Mean and variance of each channel over all parts of an image's features."""

    def __init__(self) -> None:
        self.count, self.sum, self.squares = 0, 0.0, 0.0

    def add(self, tile: torch.Tensor) -> None:
        """Count a part in, (1, C, h, w).

        torch's sums of channels_last images in float32 lose digits with each pixel, and in float64
        they take as long as a convolution: strips are summed in float32, and added in float64.
        """
        tile = tile.float()
        rows = max(1, STRIP_PX // tile.shape[3])
        strips = tile.split(rows, 2)
        px = torch.tensor([[strip.shape[2] * strip.shape[3]] for strip in strips],
                          dtype=torch.float64, device=tile.device)  # fmt: skip
        moments = zip(*map(_moments, strips), strict=True)
        mean, variance = (torch.stack(each).double() for each in moments)
        self.count += tile.shape[2] * tile.shape[3]
        self.sum = self.sum + (px * mean).sum(0)
        self.squares = self.squares + (px * (variance + mean.square())).sum(0)

    def statistics(self) -> Statistics:
        """(C,) float32 each; the variance is biased, as norms take it."""
        mean = self.sum / self.count
        variance = (self.squares / self.count - mean.square()).clamp(min=0)
        return mean.float(), variance.float()


def _moments(strip: torch.Tensor) -> Statistics:
    """Of (1, C, h, w); on a CPU torch's batch norm finds them ten times as fast as its mean."""
    if strip.device.type == "cpu":
        return torch.batch_norm_update_stats(strip, None, None, 0.0)
    variance, mean = torch.var_mean(strip, (0, 2, 3), correction=0)
    return mean, variance


def drops(layer: nn.Module) -> bool:
    """Whether a layer is dropout, and at work."""
    return isinstance(layer, nn.Dropout) and layer.training and layer.p > 0


def no_noise(layer: nn.Dropout, x: torch.Tensor) -> torch.Tensor:
    """Dropout that lets everything through."""
    return x


class NoiseSource:
    """The random numbers of dropout, drawn for each image of a batch apart. On a CPU they are those
    that dropout draws for an image alone.

    Args:
        device: where the images are.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.generators: list[torch.Generator] = []

    def seed(self, seeds: list[int]) -> None:
        """Give each image of the coming batch a seed."""
        self.generators = [torch.Generator(self.device).manual_seed(seed) for seed in seeds]

    def draw(self, x: torch.Tensor, p: float) -> torch.Tensor:
        """Zeros with probability p, else ones, in the shape of a batch's features (N, ...)."""
        noise = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        for image, generator in zip(noise, self.generators, strict=True):
            for group in image.split(group_size(image.shape)):
                group.bernoulli_(1 - p, generator=generator)
        return noise

    def draw_groups(self, shape: torch.Size, p: float) -> Iterator[torch.Tensor]:
        """What `draw` gives for one image (1, C, H, W), some channels after the other."""
        for group in torch.empty(1).expand(shape[1:]).split(group_size(shape[1:])):
            noise = torch.empty((1, *group.shape), device=self.device)
            yield noise.bernoulli_(1 - p, generator=self.generators[0])


def group_size(shape: torch.Size) -> int:
    """Of (C, H, W), how many channels' noise is drawn at once: of usual images all; of large ones
    eight at least, so that their bits fill bytes."""
    return min(shape[0], max(8, GROUP_NUMBERS // max(1, shape[1:].numel()) // 8 * 8)) or 1


def own_noise(layer: nn.Dropout, x: torch.Tensor, source: NoiseSource) -> torch.Tensor:
    """(N, ...) -> the same shape: values zero with probability p, the others divided by 1 - p."""
    if has_torch_function_unary(x):  # whoever takes down what is computed draws for himself
        return handle_torch_function(own_noise, (x,), layer, x, source)
    if not layer.training or len(x) != len(source.generators):  # of another thing than the images
        return type(layer).forward(layer, x)
    return x * source.draw(x, layer.p).div_(1 - layer.p)

"""torch's layers in the form that is fastest on a CPU; their numbers stay, to rounding.

Each form takes a layer of torch and images, and gives what the layer gives; `takes_...` says which
layers have it. `configure` puts them in place. On a GPU, and wherever rules.py sees no gain, a form
calls torch's own code.
"""

import torch
from torch import nn
from torch.nn import functional as F

from models.compute import rules, winograd
from models.compute.norms import norm_each_image


def takes_instance_norm(layer: nn.Module) -> bool:
    """Instance norm without affine parameters and running statistics, as all networks here use."""
    return type(layer) is nn.InstanceNorm2d and not (layer.affine or layer.track_running_stats)


def instance_norm(norm: nn.InstanceNorm2d, x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) -> the same shape. torch copies each image's channels apart first; norms that
    exist for other purposes find the same statistics without a copy: over the last two axes, or
    over a batch of one image."""
    if x.device.type != "cpu" or x.dim() != 4 or x.shape[2:].numel() < 2:
        return nn.InstanceNorm2d.forward(norm, x)
    if not is_channels_last(x):
        return F.layer_norm(x, x.shape[2:], eps=norm.eps)
    return norm_each_image(x, eps=norm.eps)


def takes_winograd(layer: nn.Module) -> bool:
    """3x3, stride 1."""
    return type(layer) is nn.Conv2d and _is_simple(layer, kernel=3, stride=1)


def winograd_conv(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) -> (N, K, H', W'), large float32 images by Winograd's algorithm."""
    if not _plain_images(x) or not rules.winograd_pays(conv.out_channels, conv.in_channels, x):
        return nn.Conv2d.forward(conv, x)
    return winograd.conv3x3(x, conv.weight, conv.bias, conv.padding)


def takes_halving(layer: nn.Module) -> bool:
    """4x4, stride 2, padding 1: a U-Net's way down, and a PatchGAN's."""
    is_one = type(layer) is nn.Conv2d and _is_simple(layer, kernel=4, stride=2)
    return is_one and layer.padding == (1, 1)


def halving(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) -> (N, K, H/2, W/2), small images as one matrix product."""
    n, _, height, width = x.shape if x.dim() == 4 else (0, 0, 0, 0)
    if not _plain_images(x) or not rules.product_pays(conv, height * width // 4):
        return nn.Conv2d.forward(conv, x)
    columns = F.unfold(x, 4, padding=1, stride=2)  # (N, C * 16, px of the result)
    out = (conv.weight.flatten(1) @ columns).view(n, -1, height // 2, width // 2)
    return out if conv.bias is None else out + conv.bias[:, None, None]


def takes_doubling(layer: nn.Module) -> bool:
    """The same, transposed: a U-Net's way up."""
    is_one = type(layer) is nn.ConvTranspose2d and _is_simple(layer, kernel=4, stride=2)
    return is_one and layer.padding == (1, 1)


def doubling(
    conv: nn.ConvTranspose2d, x: torch.Tensor, output_size: list[int] | None = None
) -> torch.Tensor:
    """(N, C, H, W) -> (N, K, 2H, 2W), small images as one matrix product."""
    px = x.shape[2:].numel()
    if not _plain_images(x) or output_size or not rules.product_pays(conv, px):
        return nn.ConvTranspose2d.forward(conv, x, output_size)
    columns = conv.weight.flatten(1).T @ x.flatten(2)  # (N, K * 16, px)
    out = F.fold(columns, [2 * side for side in x.shape[2:]], 4, padding=1, stride=2)
    return out if conv.bias is None else out + conv.bias[:, None, None]


def is_channels_last(x: torch.Tensor) -> bool:
    """Whether an image's channels lie beside each other, and its rows do not."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def _plain_images(x: torch.Tensor) -> bool:
    """(N, C, H, W) in float32 on a CPU, and to be computed in that."""
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and x.dim() == 4
    return plain and not torch.is_autocast_enabled("cpu")


def _is_simple(conv: nn.Conv2d | nn.ConvTranspose2d, kernel: int, stride: int) -> bool:
    """Of this size; zeros around, all channels with all, nothing left out."""
    of_size = conv.kernel_size == (kernel,) * 2 and conv.stride == (stride,) * 2
    usual = (conv.padding_mode, conv.dilation, conv.groups) == ("zeros", (1, 1), 1)
    plain = not isinstance(conv.padding, str) and not any(conv.output_padding)
    return of_size and usual and plain

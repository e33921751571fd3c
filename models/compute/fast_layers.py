"""Layers with the numbers of torch's own, computed in the way that is fastest on a CPU.

`use_fast_layers(net)` changes how a network computes, not what it is: parameters, state_dict keys
and `isinstance` stay. Each choice is measured by benchmarks/layers.py. On a GPU, and wherever a
rule does not fit, torch's own code runs.
"""

import torch
from torch import nn
from torch.nn import functional as F

from models.compute import winograd
from models.compute.norms import norm_each_image


class InstanceNorm2d(nn.InstanceNorm2d):
    """Without affine parameters and running statistics.

    torch copies each image's channels apart first. Norms that exist for other purposes find the
    same statistics without a copy: over the last two axes, or over a batch of one image.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.device.type != "cpu" or x.dim() != 4 or x.shape[2:].numel() < 2:
            return super().forward(x)
        if not is_channels_last(x):
            return F.layer_norm(x, x.shape[2:], eps=self.eps)
        return norm_each_image(x, eps=self.eps)


class Conv3x3(nn.Conv2d):
    """Stride 1; large float32 ones by Winograd's algorithm."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not _plain_images(x) or not self._is_large(x):
            return super().forward(x)
        return winograd.conv3x3(x, self.weight, self.bias, self.padding)

    def _is_large(self, x: torch.Tensor) -> bool:
        """Measured to gain from 256 channels and 256 tiles on."""
        nc = min(self.in_channels, self.out_channels)
        return nc >= 256 and x.shape[0] * x.shape[2:].numel() >= 256 * winograd.OUT**2


class Halving(nn.Conv2d):
    """4x4, stride 2, padding 1: a U-Net's way down. Where there are few px and many weights, as one
    matrix product: convolutions bring weights into another order first."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, _, height, width = x.shape if x.dim() == 4 else (0, 0, 0, 0)
        if not _plain_images(x) or not _has_more_weights(self, height * width // 4):
            return super().forward(x)
        columns = F.unfold(x, 4, padding=1, stride=2)  # (N, C * 16, px of the result)
        out = (self.weight.flatten(1) @ columns).view(n, -1, height // 2, width // 2)
        return out if self.bias is None else out + self.bias[:, None, None]


class Doubling(nn.ConvTranspose2d):
    """The same, transposed: a U-Net's way up."""

    def forward(self, x: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        px = x.shape[2:].numel()
        if not _plain_images(x) or output_size or not _has_more_weights(self, px):
            return super().forward(x, output_size)
        columns = self.weight.flatten(1).T @ x.flatten(2)  # (N, K * 16, px)
        out = F.fold(columns, [2 * side for side in x.shape[2:]], 4, padding=1, stride=2)
        return out if self.bias is None else out + self.bias[:, None, None]


def _plain_images(x: torch.Tensor) -> bool:
    """(N, C, H, W) in float32 on a CPU, and to be computed in that."""
    plain = x.device.type == "cpu" and x.dtype == torch.float32 and x.dim() == 4
    return plain and not torch.is_autocast_enabled("cpu")


def _has_more_weights(conv: nn.Conv2d | nn.ConvTranspose2d, px: int) -> bool:
    """Measured to gain up to 64 px, from 256 x 512 channels on."""
    return 0 < px <= 64 and conv.in_channels * conv.out_channels >= 2**17


def is_channels_last(x: torch.Tensor) -> bool:
    """Whether an image's channels lie beside each other, and its rows do not."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def use_fast_layers(net: nn.Module) -> None:
    """Let the layers of a network that have a faster form compute in it."""
    for layer in net.modules():
        if type(layer) is nn.InstanceNorm2d:
            if not layer.affine and not layer.track_running_stats:
                layer.__class__ = InstanceNorm2d
        elif type(layer) in (nn.Conv2d, nn.ConvTranspose2d) and _is_simple(layer):
            kind, shape = type(layer), (layer.kernel_size, layer.stride)
            if shape == ((4, 4), (2, 2)) and layer.padding == (1, 1):
                layer.__class__ = Halving if kind is nn.Conv2d else Doubling
            elif shape == ((3, 3), (1, 1)) and kind is nn.Conv2d:
                layer.__class__ = Conv3x3


def _is_simple(conv: nn.Conv2d | nn.ConvTranspose2d) -> bool:
    """Zeros around, all channels with all, nothing left out."""
    usual = (conv.padding_mode, conv.dilation, conv.groups) == ("zeros", (1, 1), 1)
    return usual and not isinstance(conv.padding, str) and not any(conv.output_padding)

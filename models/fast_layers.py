"""Layers with the numbers of torch's own, computed in the way that is fastest on a CPU.

`use_fast_layers(net)` changes how a network computes, not what it is: parameters, state_dict keys
and `isinstance` stay. Each choice is measured by benchmarks/layers.py. On a GPU, and wherever a
rule does not fit, torch's own code runs.
"""

import torch
from torch import nn
from torch.nn import functional as F

from models import winograd
from util.norm_modes import norm_each_image


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
        plain = x.device.type != "cpu" or x.dtype != torch.float32 or x.dim() != 4
        if plain or torch.is_autocast_enabled("cpu") or not self._is_large(x):
            return super().forward(x)
        return winograd.conv3x3(x, self.weight, self.bias, self.padding)

    def _is_large(self, x: torch.Tensor) -> bool:
        """Measured to gain from 256 channels and 256 tiles on."""
        nc = min(self.in_channels, self.out_channels)
        return nc >= 256 and x.shape[0] * x.shape[2:].numel() >= 256 * winograd.OUT**2


def is_channels_last(x: torch.Tensor) -> bool:
    """Whether an image's channels lie beside each other, and its rows do not."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def use_fast_layers(net: nn.Module) -> None:
    """Let the layers of a network that have a faster form compute in it."""
    for layer in net.modules():
        if type(layer) is nn.InstanceNorm2d:
            if not layer.affine and not layer.track_running_stats:
                layer.__class__ = InstanceNorm2d
        elif type(layer) is nn.Conv2d:
            simple = (layer.stride, layer.dilation, layer.groups) == ((1, 1), (1, 1), 1)
            zeros = layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
            if simple and zeros and layer.kernel_size == (3, 3):
                layer.__class__ = Conv3x3

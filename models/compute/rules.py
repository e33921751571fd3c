"""Which form of a computation is the faster one: every threshold of this room, each measured by
benchmarks/layers.py. They decide about speed alone, never about what a network gives."""

import torch
from torch import nn

WINOGRAD_CHANNELS = 256  # that a 3x3 convolution takes and gives, at least
WINOGRAD_PX = 256 * 4**2  # of a batch's images, at least: 256 tiles

PRODUCT_WEIGHTS = 256 * 512  # pairs of channels of a 4x4 convolution, at least
PRODUCT_PX = 64  # of the smaller side's image, at most

COPIED_CHANNELS = 512  # of a transposed convolution whose weights are too large to be copied


def winograd_pays(out_channels: int, in_channels: int, x: torch.Tensor) -> bool:
    """Whether Winograd's algorithm is faster for a 3x3 convolution of images (N, C, H, W)."""
    px = x.shape[0] * x.shape[2:].numel()
    return min(out_channels, in_channels) >= WINOGRAD_CHANNELS and px >= WINOGRAD_PX


def product_pays(conv: nn.Conv2d | nn.ConvTranspose2d, px: int) -> bool:
    """Whether one matrix product is faster for a 4x4 convolution of stride 2: with few px and many
    weights, which torch brings into another order first."""
    return 0 < px <= PRODUCT_PX and conv.in_channels * conv.out_channels >= PRODUCT_WEIGHTS


def choose_memory_format(net: nn.Module, device: torch.device, precision: str) -> str:
    """The format of a network's weights, and with them of its features.

    On a CPU channels_last is faster; but in fp32 torch copies the weights of transposed
    convolutions at each call: not with large ones. On a GPU torch's own format.

    Returns: "channels_last" or "contiguous".
    """
    transposed = (m for m in net.modules() if isinstance(m, nn.ConvTranspose2d))
    large = any(layer.in_channels >= COPIED_CHANNELS for layer in transposed)
    gains = precision in ("bf16", "fp16") or not large
    return "channels_last" if device.type == "cpu" and gains else "contiguous"

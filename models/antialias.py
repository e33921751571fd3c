"""Halving and doubling behind a low-pass filter, so that a shift of the image by a pixel is a shift
of the features (Zhang 2019, "Making convolutional networks shift-invariant again")."""

import torch
import torch.nn.functional as F
from torch import nn


def binomial(taps: tuple[float, ...], channels: int, gain: float = 1.0) -> torch.Tensor:
    """The filter `taps` in both directions for each channel: (channels, 1, k, k), sum `gain`."""
    line = torch.tensor(taps)
    square = torch.outer(line, line)
    return (gain * square / square.sum()).repeat(channels, 1, 1, 1)


class Downsample(nn.Module):
    """(N, C, H, W) -> (N, C, ceil(H/2), ceil(W/2)): blurred by [1 2 1], every second px kept.

    The image is mirrored at its edges: sides from 2 px. `filt` is a constant, and saved.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", binomial((1, 2, 1), channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Half the size, rounded up."""
        x = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(x, self.filt, stride=2, groups=x.shape[1])


class Upsample(nn.Module):
    """(N, C, H, W) -> (N, C, 2H, 2W): zeros between the px, blurred by [1 3 3 1], which is bilinear
    interpolation, with the edges repeated. `filt` is a constant, and saved."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Of four px three are zeros.
        self.register_buffer("filt", binomial((1, 3, 3, 1), channels, gain=4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Twice the size."""
        x = F.pad(x, (1, 1, 1, 1), mode="replicate")
        return F.conv_transpose2d(x, self.filt, stride=2, padding=3, groups=x.shape[1])

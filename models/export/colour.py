"""Colorization's way from RGB to lightness and back, in operations that every runtime knows."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from util.images import lab


class LabAround(nn.Module):
    """A network from L to ab on photographs: RGB (N, 3, H, W) in [0, 1] -> RGB in [-1, 1].

    The figures are those of `util.images.lab`, in float32 throughout.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        matrix = torch.from_numpy(lab.TO_XYZ)
        self.register_buffer("luminance", matrix[1].view(1, 3, 1, 1).clone())
        from_xyz = np.linalg.inv(lab.TO_XYZ.astype(np.float64)).astype(np.float32)
        self.register_buffer("from_xyz", torch.from_numpy(from_xyz)[..., None, None])

    def forward(self, unit: torch.Tensor) -> torch.Tensor:
        """What the lightness looks like with the network's colours."""
        L = self.lightness(unit)
        return self.rgb(L, self.net(L))

    def lightness(self, unit: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, 1, H, W) in [-1, 1]."""
        curved = ((unit.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
        linear = torch.where(unit > 0.04045, curved, unit / 12.92)
        y = (linear * self.luminance).sum(1, keepdim=True)
        root = torch.where(y > 0.008856, y.clamp(min=0.008856) ** (1 / 3), 7.787 * y + 16 / 116)
        return (116 * root - 16) / lab.L_SCALE - 1

    def rgb(self, L: torch.Tensor, ab: torch.Tensor) -> torch.Tensor:
        """L (N, 1, H, W) and ab (N, 2, H, W) -> (N, 3, H, W) in [-1, 1], cut to sRGB."""
        a, b = (ab * lab.AB_SCALE).split(1, 1)
        y = ((L + 1) * lab.L_SCALE + 16) / 116
        z = (y - b / 200).clamp(min=0)
        roots = torch.cat([a / 500 + y, y, z], 1)
        xyz = torch.where(roots > 0.2068966, roots**3, (roots - 16 / 116) / 7.787)
        linear = (self.from_xyz * xyz.unsqueeze(1)).sum(2)
        curved = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
        levels = torch.where(linear > 0.0031308, curved, 12.92 * linear)
        return levels.clamp(0, 1) * 2 - 1

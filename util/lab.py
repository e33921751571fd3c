"""RGB and the network's Lab, both ways: L/50 - 1 and ab/110, by scikit-image's conventions.

sRGB, white point D65, 2 degree observer (CIE 1931), as `skimage.color.rgb2lab` has them.
"""

from __future__ import annotations

import warnings

import numpy as np
import skimage

from util.lazy import torch

L_SCALE, AB_SCALE = 50.0, 110.0  # L in [0, 100] -> [-1, 1]; a and b, mostly within +-110 -> [-1, 1]


def _linear(levels: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] -> linear light."""
    return np.where(levels > 0.04045, ((levels + 0.055) / 1.055) ** 2.4, levels / 12.92)


_LINEAR = _linear(np.arange(256) / 255).astype(np.float32)  # of each level
_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
_TO_XYZ = (_XYZ / _WHITE[:, None]).astype(np.float32)  # linear RGB -> XYZ relative to white


def rgb_to_lab(rgb: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Args: rgb (3, H, W), uint8 or float32 in [0, 1]. Returns: L (1, H, W) in [-1, 1] and ab
    (2, H, W) around 0.

    A table replaces the powers of the gamma curve, and float32 suffices: the result is that of
    `skimage.color.rgb2lab` within 1e-5. numpy, whose cube root is several times as fast as torch's
    power on a CPU.
    """
    levels = rgb.numpy()
    is_bytes = levels.dtype == np.uint8
    linear = _LINEAR.take(levels, mode="clip") if is_bytes else _linear(levels.clip(0, 1))
    xyz = _TO_XYZ @ linear.reshape(3, -1)
    f = np.cbrt(xyz)
    np.copyto(f, 7.787 * xyz + np.float32(16 / 116), where=xyz <= 0.008856)
    x, y, z = f.reshape(rgb.shape)
    L = (116 * y - 16) / L_SCALE - 1
    ab = np.stack([500 * (x - y), 200 * (y - z)]) / AB_SCALE
    return torch.from_numpy(L[None]), torch.from_numpy(ab.astype(np.float32, copy=False))


def lab_to_rgb(L: torch.Tensor, ab: torch.Tensor) -> torch.Tensor:
    """Args: L (N, 1, H, W) and ab (N, 2, H, W), scaled as above. Returns: RGB (N, 3, H, W) in
    [-1, 1]; colours outside sRGB are cut to it."""
    lab = torch.cat([(L + 1) * L_SCALE, ab * AB_SCALE], 1).detach().cpu().double()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Conversion from CIE-LAB")  # says that it cuts
        rgb = skimage.color.lab2rgb(lab.permute(0, 2, 3, 1).numpy())
    return torch.from_numpy(rgb).permute(0, 3, 1, 2).float() * 2 - 1

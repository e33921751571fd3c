"""RGB and the network's Lab, both ways: L/50 - 1 and ab/110, by scikit-image's conventions.

sRGB, white point D65, 2 degree observer (CIE 1931), as `skimage.color.rgb2lab` has them.
"""

from __future__ import annotations

import functools
import warnings

import numpy as np
import skimage

from util.lazy import torch

L_SCALE, AB_SCALE = 50.0, 110.0  # L in [0, 100] -> [-1, 1]; a and b, mostly within +-110 -> [-1, 1]


_RGB_TO_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
TO_XYZ = (_RGB_TO_XYZ / _WHITE[:, None]).astype(np.float32)  # linear RGB -> XYZ / white


def _linear(levels: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] -> linear light."""
    return np.where(levels > 0.04045, ((levels + 0.055) / 1.055) ** 2.4, levels / 12.92)


_LINEAR = _linear(np.arange(256) / 255).astype(np.float32)  # of each level


def rgb_to_lab(rgb: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Args: rgb (..., 3, H, W), uint8 or float32 in [0, 1], on any device. Returns: L
    (..., 1, H, W) in [-1, 1] and ab (..., 2, H, W) around 0.

    A table replaces the powers of the gamma curve, and float32 suffices: the result is that of
    `skimage.color.rgb2lab` within 1e-5.
    """
    if rgb.device.type == "cpu":
        images = rgb.numpy().reshape(-1, *rgb.shape[-3:])
        roots = torch.from_numpy(np.stack([_roots(image) for image in images])).view(rgb.shape)
    else:
        roots = _roots_of_batch(rgb)
    x, y, z = roots.unbind(-3)
    L = (116 * y - 16) / L_SCALE - 1
    ab = torch.stack([500 * (x - y), 200 * (y - z)], -3) / AB_SCALE
    return L.unsqueeze(-3), ab


def _roots(levels: np.ndarray) -> np.ndarray:
    """Lab's cube roots of XYZ, of one image. numpy's cube root is several times as fast as torch's
    power on a CPU, and images one by one stay in its caches."""
    is_bytes = levels.dtype == np.uint8
    linear = _LINEAR.take(levels, mode="clip") if is_bytes else _linear(levels.clip(0, 1))
    xyz = (TO_XYZ @ linear.reshape(3, -1)).reshape(levels.shape)
    roots = np.cbrt(xyz)
    np.copyto(roots, 7.787 * xyz + np.float32(16 / 116), where=xyz <= 0.008856)
    return roots.astype(np.float32, copy=False)


def _roots_of_batch(levels: torch.Tensor) -> torch.Tensor:
    """The same for a batch, where it is. Sums, for TF32 would round a matrix product."""
    by_level, to_xyz = _tables(levels.device)
    if levels.dtype == torch.uint8:
        linear = by_level[levels.long()]
    else:
        levels = levels.clamp(0, 1)
        linear = torch.where(levels > 0.04045, ((levels + 0.055) / 1.055) ** 2.4, levels / 12.92)
    xyz = (to_xyz * linear.unsqueeze(-4)).sum(-3)
    return torch.where(xyz > 0.008856, xyz ** (1 / 3), 7.787 * xyz + 16 / 116)


@functools.cache
def _tables(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """_LINEAR and, (3, 3, 1, 1), TO_XYZ, brought to a device once."""
    return tuple(torch.from_numpy(t).to(device) for t in (_LINEAR, TO_XYZ[..., None, None]))


def lab_to_rgb(L: torch.Tensor, ab: torch.Tensor) -> torch.Tensor:
    """Args: L (N, 1, H, W) and ab (N, 2, H, W), scaled as above. Returns: RGB (N, 3, H, W) in
    [-1, 1]; colours outside sRGB are cut to it."""
    lab = torch.cat([(L + 1) * L_SCALE, ab * AB_SCALE], 1).detach().cpu().double()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Conversion from CIE-LAB")  # says that it cuts
        rgb = skimage.color.lab2rgb(lab.permute(0, 2, 3, 1).numpy())
    return torch.from_numpy(rgb).permute(0, 3, 1, 2).float() * 2 - 1

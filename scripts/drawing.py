"""Edges of photographs as black lines on white paper."""

import numpy as np
import skimage

SPECK = 20  # px: a line that is no longer is dropped


def lines(photo: np.ndarray, sigma: float = 2.0) -> np.ndarray:
    """Thin lines (Canny 1986), without specks.

    Args:
        photo: (H, W, 3) uint8.
        sigma: px of blur beforehand; more of it leaves fewer lines.

    Returns:
        (H, W, 3) uint8, 0 or 255.
    """
    found = skimage.feature.canny(skimage.color.rgb2gray(photo), sigma=sigma)
    found = skimage.morphology.remove_small_objects(found, max_size=SPECK, connectivity=2)
    return _on_paper(found.astype(float))


def pencil(photo: np.ndarray, sigma: float = 0.0) -> np.ndarray:
    """A soft drawing, the darker the stronger the edge (Sobel); arguments as of `lines`."""
    grey = skimage.color.rgb2gray(photo)
    strength = skimage.filters.sobel(skimage.filters.gaussian(grey, sigma) if sigma else grey)
    return _on_paper(np.clip(4 * strength, 0, 1))


def _on_paper(ink: np.ndarray) -> np.ndarray:
    """(H, W) in [0, 1] -> (H, W, 3) uint8."""
    return np.repeat(((1 - ink) * 255).round().astype(np.uint8)[..., None], 3, axis=2)

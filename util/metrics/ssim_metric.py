"""Structural similarity of pictures to their targets."""

import numpy as np

from util.errors import UserError
from util.metrics.per_picture import PerPicture

WINDOW_PX = 11  # of a Gaussian with sigma 1.5, cut at 3.5 sigma as published


class SSIMMetric(PerPicture):
    """SSIM of Wang et al. (2004), as scikit-image computes it with the published settings: Gaussian
    weights with sigma 1.5, population covariance, K 0.01 and 0.03, the border of 5 px left out, the
    mean over colours. From -1 to 1 (equal).
    """

    better = "higher"

    def measure(self, fake: np.ndarray, real: np.ndarray, data_range: float) -> float:
        """The similarity of one picture, (H, W, C)."""
        from skimage.metrics import structural_similarity

        height, width = fake.shape[:2]
        if min(height, width) < WINDOW_PX:
            raise UserError(
                f"pictures of {width}x{height} px: ssim needs at least {WINDOW_PX} px a side; "
                "use l1 or psnr"
            )
        return float(
            structural_similarity(
                real, fake, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
                data_range=data_range, channel_axis=2,
            )
        )  # fmt: skip

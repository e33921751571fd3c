"""PSNR and SSIM against scikit-image and against figures worked out by hand."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tests.helpers import photo
from util.errors import UserError
from util.metrics.psnr_metric import PSNRMetric
from util.metrics.ssim_metric import SSIMMetric


def pairs(dtype: str = "uint8") -> tuple[np.ndarray, np.ndarray]:
    """Photographs, and the same with noise, (3, 40, 48, 3)."""
    real = np.stack([np.asarray(photo(i, (48, 40))) for i in range(3)])
    noise = np.random.default_rng(0).normal(0, 20, real.shape)
    fake = np.clip(real + noise, 0, 255).astype(np.uint8)
    if dtype == "uint16":
        return fake.astype(dtype) * 257, real.astype(dtype) * 257
    return fake, real


@pytest.mark.parametrize("dtype, full", [("uint8", 255), ("uint16", 65535)])
def test_psnr_is_that_of_scikit_image_for_each_picture(dtype, full):
    fake, real = pairs(dtype)
    metric = PSNRMetric()
    metric.update(fake, real)
    expected = [
        peak_signal_noise_ratio(r, f, data_range=full) for f, r in zip(fake, real, strict=True)
    ]
    assert metric.values == pytest.approx(expected, abs=1e-6)
    assert metric.compute() == pytest.approx(np.mean(expected), abs=1e-6)


@pytest.mark.parametrize("dtype, full", [("uint8", 255), ("uint16", 65535)])
def test_ssim_is_that_of_scikit_image_colour_by_colour(dtype, full):
    fake, real = pairs(dtype)
    metric = SSIMMetric()
    metric.update(fake, real)
    expected = [
        np.mean([
            structural_similarity(
                r[..., c], f[..., c], gaussian_weights=True, sigma=1.5,
                use_sample_covariance=False, data_range=full,
            )
            for c in range(3)
        ])
        for f, r in zip(fake, real, strict=True)
    ]  # fmt: skip
    assert metric.values == pytest.approx(expected, abs=1e-6)


def test_psnr_by_hand():
    zeros, full = np.zeros((1, 4, 4, 3), np.uint8), np.full((1, 4, 4, 3), 255, np.uint8)
    metric = PSNRMetric()
    metric.update(zeros, full)  # the largest error that there is
    assert metric.compute() == 0
    metric.update(zeros, zeros)
    assert metric.values == [0, float("inf")] and metric.compute() == float("inf")


def test_ssim_of_constants_by_hand():
    """Without any structure only the luminance term is left."""
    metric = SSIMMetric()
    metric.update(np.full((1, 16, 16, 1), 100, np.uint8), np.full((1, 16, 16, 1), 150, np.uint8))
    c1 = (0.01 * 255) ** 2
    assert metric.compute() == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1))


def test_floats_need_their_range():
    fake, real = (p / 127.5 - 1 for p in pairs())
    with pytest.raises(UserError, match="data_range, e.g. 2.0"):
        PSNRMetric().update(fake, real)
    of_floats, of_bytes = PSNRMetric(data_range=2.0), PSNRMetric()
    of_floats.update(fake, real)
    of_bytes.update(*pairs())
    assert of_floats.compute() == pytest.approx(of_bytes.compute(), abs=1e-9)
    with pytest.raises(UserError, match="accepted: a finite number above 0"):
        SSIMMetric(data_range=0)


def test_pictures_smaller_than_the_window_are_refused():
    small = np.zeros((1, 10, 64, 3), np.uint8)
    with pytest.raises(UserError, match=r"64x10 px: ssim needs at least 11 px"):
        SSIMMetric().update(small, small)

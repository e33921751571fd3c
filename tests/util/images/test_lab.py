import numpy as np
import pytest
import skimage.data
import torch
from skimage.color import rgb2lab

from tests import closed_form
from tests.helpers import golden
from util.images import lab
from util.images.lab import lab_to_rgb, rgb_to_lab


def golden_levels(height: int, width: int) -> np.ndarray:
    image = (closed_form.image(1, 3, height, width)[0].permute(1, 2, 0) + 1) / 2 * 255
    return image.round().numpy().astype(np.uint8)


def planes(levels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(levels).permute(2, 0, 1)


def test_lab_agrees_with_the_reference():
    found = dict(zip(("L", "ab"), rgb_to_lab(planes(golden_levels(40, 48))), strict=True))
    for name, expected in golden()["lab"].items():
        assert list(found[name].shape) == expected["shape"]
        assert found[name].mean().item() == pytest.approx(expected["mean"], abs=1e-5)
        for index, value in expected["at"].items():
            assert found[name].flatten()[int(index)].item() == pytest.approx(value, abs=1e-5)


def test_every_colour_of_a_coarse_cube_agrees_with_scikit_image():
    steps = np.linspace(0, 255, 18).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(18, -1, 3)
    L, ab = rgb_to_lab(planes(cube))
    expected = rgb2lab(cube)
    assert np.abs(L[0].numpy() - (expected[..., 0] / 50 - 1)).max() < 1e-5
    assert np.abs(ab.permute(1, 2, 0).numpy() - expected[..., 1:] / 110).max() < 1e-5


def test_a_batch_on_a_gpu_is_the_same_within_rounding(monkeypatch):
    photos = torch.stack([planes(skimage.data.chelsea()[y : y + 64, :96]) for y in (0, 90)])
    for levels in (photos, photos / 255):
        alone = [rgb_to_lab(photo) for photo in levels]
        with monkeypatch.context() as patch:
            patch.setattr(lab, "_roots", lambda image: lab._roots_of_batch(torch.tensor(image)))
            on_gpu = rgb_to_lab(levels)  # no GPU here: its formula stands in for the other
        for found, once, expected in zip(
            on_gpu, rgb_to_lab(levels), zip(*alone, strict=True), strict=True
        ):
            assert torch.equal(once, torch.stack(expected))
            assert (found - once).abs().max() < 1e-5


def test_back_and_forth_is_the_same_picture_for_any_batch_size():
    photo = skimage.data.chelsea()[:64, :96]
    L, ab = rgb_to_lab(planes(photo))
    back = lab_to_rgb(torch.stack([L, L]), torch.stack([ab, ab * 0]))
    assert back.shape == (2, 3, 64, 96) and back.abs().max() <= 1
    levels = ((back[0].permute(1, 2, 0) + 1) / 2 * 255).round().numpy()
    assert np.abs(levels - photo).max() <= 1
    assert (back[1] - back[1].mean(0)).abs().max() < 0.01  # without ab it is grey

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode

from data import transforms
from data.base_dataset import get_params, get_transform
from tests import closed_form
from tests.helpers import golden


def golden_image(width: int, height: int) -> Image.Image:
    levels = ((closed_form.image(1, 3, height, width)[0].permute(1, 2, 0) + 1) / 2 * 255).round()
    return Image.fromarray(levels.numpy().astype(np.uint8))


def label(entry: dict) -> str:
    size = "x".join(map(str, entry["size_wh"]))
    marks = [name for name in ("flip", "grayscale") if entry[name]]
    return "-".join([size, entry["preprocess"], str(entry["load_size"]), *marks])


@pytest.mark.parametrize("entry", golden()["transforms"], ids=label)
def test_pixels_agree_with_the_reference(entry):
    transform = transforms.build(
        entry["preprocess"], entry["load_size"], entry["crop_size"], entry["flip"],
        tuple(entry["crop_pos"]), grayscale=entry["grayscale"],
    )  # fmt: skip
    tensor = transform(golden_image(*entry["size_wh"]))
    assert list(tensor.shape) == entry["shape"]
    flat = tensor.flatten()
    for index, value in entry["at"].items():
        assert flat[int(index)].item() == pytest.approx(value, abs=1e-6)


class Options:
    preprocess, load_size, crop_size, no_flip = "resize_and_crop", 40, 32, False


@pytest.mark.parametrize("mode", transforms.PREPROCESS_MODES)
def test_every_mode_can_be_pickled_and_ends_in_range(mode):
    opt = Options()
    opt.preprocess = mode
    transform = pickle.loads(pickle.dumps(get_transform(opt)))
    tensor = transform(golden_image(64, 48))
    assert tensor.dtype == torch.float32
    assert tensor.min() >= -1 and tensor.max() <= 1


def test_a_pair_shares_crop_and_flip():
    opt, image = Options(), golden_image(64, 64)
    params = get_params(opt, image.size)
    first, second = (get_transform(opt, params)(image) for _ in range(2))
    assert torch.equal(first, second)
    params["flip"] = not params["flip"]
    assert torch.equal(get_transform(opt, params)(image), first.flip(-1))


def test_no_flip_holds_with_and_without_params():
    opt, image = Options(), golden_image(32, 32)
    opt.no_flip, opt.load_size = True, 32
    straight = get_transform(opt, {"crop_pos": (0, 0), "flip": True})(image)
    assert all(torch.equal(get_transform(opt)(image), straight) for _ in range(8))


@pytest.mark.parametrize("method", [InterpolationMode.NEAREST, Image.Resampling.NEAREST, 0])
def test_interpolation_may_have_either_librarys_name(method):
    opt = Options()
    opt.preprocess, opt.load_size = "scale_width", 128
    result = get_transform(opt, method=method, convert=False)(golden_image(64, 48))
    assert result.size == (128, 96)
    assert set(np.unique(np.asarray(result))) <= set(np.unique(np.asarray(golden_image(64, 48))))

"""Registry, errors, devices, seeds, image pool, pictures."""

import random

import numpy as np
import pytest
import torch
from PIL import Image

import models
from util import util
from util.direction import oriented
from util.errors import NonFinite, UserError, begun, did_you_mean, one_line_errors
from util.image_pool import ImagePool
from util.images.convert import save_image, tensor2im
from util.machine import resolve_device
from util.results.stems import unique_stems
from util.seed import mix, seeded
from util.training.visualizer import crossed


def test_the_registry_lists_files_and_finds_classes():
    assert {"pix2pix", "cycle_gan", "template", "test"} <= set(models.registry.names())
    assert models.find_model_using_name("cycle_gan").__name__ == "CycleGANModel"
    with pytest.raises(UserError, match="unknown model 'cyclegan'.*did you mean cycle_gan"):
        models.find_model_using_name("cyclegan")


def test_near_names_are_suggested_and_far_ones_are_not():
    assert did_you_mean("LSGAN", ["lsgan", "vanilla"]) == "; did you mean lsgan?"
    assert did_you_mean("zzz", ["lsgan", "vanilla"]) == ""


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (UserError("x is y"), 2, "error: x is y\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_exit_codes(capsys, error, code, text):
    @one_line_errors
    def main(argv):
        raise error

    assert main([]) == code
    assert capsys.readouterr().err.startswith(text)


@pytest.mark.parametrize(("error", "code"), [(UserError, 1), (NonFinite, 3)])
def test_what_fails_at_work_is_no_wrong_command_line(error, code):
    with pytest.raises(error) as caught, begun():
        raise error("x")
    assert caught.value.exit_code == code and error("x").exit_code != 1


def test_our_own_bugs_keep_their_trace():
    @one_line_errors
    def main(argv):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        main([])


def test_debug_shows_the_trace(capsys):
    @one_line_errors
    def main(argv):
        raise UserError("x")

    assert main(["--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_devices():
    assert resolve_device("cpu", None).type == "cpu"
    assert resolve_device("auto", "-1").type == "cpu"
    with pytest.raises(UserError, match="give one of the two"):
        resolve_device("cuda:1", "-1")
    with pytest.raises(UserError, match="--device gpu: accepted: auto, cpu"):
        resolve_device("gpu", None)


def test_direction_is_its_own_inverse():
    assert oriented("AtoB", 1, 2) == (1, 2)
    assert oriented("BtoA", *oriented("BtoA", 1, 2)) == (1, 2)


def test_mixed_seeds_differ_and_repeat():
    seeds = {mix(a, b) for a in range(20) for b in range(20)}
    assert len(seeds) == 400
    assert mix(1, 2) == mix(1, 2) != mix(2, 1)


def test_a_seeded_block_repeats_and_leaves_no_trace():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    draws = []
    for _ in range(2):
        with seeded(4):
            draws.append((random.random(), np.random.rand(), torch.rand(()).item()))
    assert draws[0] == draws[1]
    assert torch.equal(torch.get_rng_state(), before)


def test_the_pool_stores_then_swaps_half_of_the_time():
    random.seed(0)
    pool = ImagePool(10)
    first = torch.arange(10.0).view(10, 1, 1, 1)
    assert torch.equal(pool.query(first), first)
    returned = [pool.query(torch.full((1, 1, 1, 1), 100.0 + i)).item() for i in range(400)]
    old = [value != 100.0 + i for i, value in enumerate(returned)]
    assert 0.42 < np.mean(old) < 0.58
    everything = sorted(returned + [image.item() for image in pool.images])
    assert everything == sorted(list(range(10)) + [100.0 + i for i in range(400)])  # none lost


def test_pool_of_size_zero_passes_images_through():
    images = torch.rand(2, 3, 4, 4)
    assert ImagePool(0).query(images) is images


def test_pool_returns_no_gradient():
    assert not ImagePool(2).query(torch.rand(1, 3, 4, 4, requires_grad=True) * 2).requires_grad


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_pictures_from_any_number_of_channels(channels):
    image = tensor2im(torch.rand(2, channels, 4, 6) * 2 - 1)
    assert image.shape == (4, 6, 3) and image.dtype == np.uint8


def test_pictures_round_trip_within_the_last_bit():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    tensor = torch.from_numpy(levels).float().div(255).sub(0.5).div(0.5).expand(1, 3, 16, 16)
    assert np.array_equal(util.tensor2im(tensor)[..., 0], levels)
    assert tensor2im(torch.full((1, 3, 1, 1), 7.0)).max() == 255  # clipped, not wrapped


@pytest.mark.parametrize(("ratio", "size"), [(1.0, (8, 4)), (2.0, (16, 4)), (0.5, (8, 8))])
def test_aspect_ratio_stretches_the_saved_picture(tmp_path, ratio, size):
    save_image(np.zeros((4, 8, 3), np.uint8), tmp_path / "x.png", ratio)
    assert Image.open(tmp_path / "x.png").size == size


@pytest.mark.parametrize(
    ("paths", "stems"),
    [
        (["0.jpg", "0.png", "0_2.png", "1.png"], ["0", "0_png", "0_2", "1"]),
        (["0.jpg", "0.png", "0.jpg", "0.png"], ["0", "0_png", "0_2", "0_png_2"]),
        (["a/0.png", "b/0.png", "c/0.png", "0"], ["0", "0_png", "0_png_2", "0_2"]),
        (["a.png", "A.png", "A.jpg", "ä.png", "a\u0308.png"],
         ["a", "A_png", "A_jpg", "ä", "a\u0308_png"]),
    ],
    ids=["another extension", "again", "another folder", "alike on some disks"],
)  # fmt: skip
def test_equal_stems_get_names_that_tell_whose_they_are(paths, stems):
    stem_of = unique_stems()
    assert [stem_of(path) for path in paths] == stems


def test_a_counter_crosses_multiples_with_any_step():
    fired = [images for images in range(3, 31, 3) if crossed(images - 3, images, 10)]
    assert fired == [12, 21, 30]
    assert not crossed(10, 13, 10) and crossed(9, 31, 10)


def test_old_helper_names(tmp_path):
    util.mkdirs([str(tmp_path / "a" / "b"), str(tmp_path / "c")])
    assert (tmp_path / "a" / "b").is_dir() and (tmp_path / "c").is_dir()

"""What each dataset yields, and what it says about folders that are not as expected."""

import multiprocessing
import os

import numpy as np
import pytest
import torch
from PIL import Image

import data
from data.image_folder import load_image, make_dataset
from options.train_options import TrainOptions
from tests.helpers import TINY, make_aligned, make_data, make_single, make_unaligned, photo
from util.errors import UserError


def options(root, mode: str, *flags: str):
    return TrainOptions().parse(
        ["--dataroot", str(root), "--model", "pix2pix", "--netG", "resnet_6blocks",
         "--dataset_mode", mode, *TINY, *flags]
    )  # fmt: skip


def first(root, mode: str, *flags: str) -> dict:
    return data.create_dataset(options(root, mode, *flags)).dataset[0]


@pytest.mark.parametrize("mode", data.registry.names())
def test_samples_are_dicts_of_images_in_range(tmp_path, mode):
    sample = first(make_data(tmp_path, mode), mode)
    assert sample["A"].shape[0] in (1, 3) and sample["A"].shape[1:] == (32, 32)
    assert sample["A"].dtype == torch.float32
    assert sample["A"].abs().max() <= 1
    assert os.path.isfile(sample["A_paths"])


def test_grey_photographs_need_no_colour_for_colorization(tmp_path):
    (tmp_path / "train").mkdir()
    photo(0).convert("L").save(tmp_path / "train" / "grey.png")
    sample = first(tmp_path, "colorization")
    assert sample["A"].std() > 0.1 and sample["B"].abs().max() < 0.01


def test_aligned_halves_share_their_augmentation(tmp_path):
    sample = first(make_aligned(tmp_path), "aligned")
    assert torch.allclose(sample["A"], -sample["B"], atol=0.02)  # B is A's negative


@pytest.mark.parametrize("mode", ["aligned", "unaligned", "single"])
def test_an_image_smaller_than_the_crop_is_named(tmp_path, mode):
    flags = ["--preprocess", "crop", "--crop_size", "64", "--load_size", "64"]
    with pytest.raises(UserError, match=r"\d\.png: \d\dx48 px is smaller than --crop_size 64"):
        first(make_data(tmp_path, mode), mode, *flags)


def test_aligned_refuses_an_odd_width(tmp_path):
    (tmp_path / "train").mkdir()
    photo(0, (97, 48)).save(tmp_path / "train" / "odd.png")
    with pytest.raises(UserError, match=r"odd\.png: 97x48"):
        first(tmp_path, "aligned")


def test_unaligned_pairs_at_random_or_in_turn(tmp_path):
    make_unaligned(tmp_path, 4)
    (tmp_path / "trainB" / "0.png").unlink()
    serial = data.create_dataset(options(tmp_path, "unaligned", "--serial_batches"))
    assert [os.path.basename(p) for batch in serial for p in batch["B_paths"]] == [
        "1.png", "2.png", "3.png", "1.png"]  # fmt: skip
    drawn = data.create_dataset(options(tmp_path, "unaligned"))
    seen = set()
    for epoch in range(1, 9):
        drawn.set_epoch(epoch)
        seen |= {(batch["A_paths"][0], batch["B_paths"][0]) for batch in drawn}
    assert len(seen) > 8


@pytest.mark.parametrize(("direction", "channels"), [("AtoB", (1, 3)), ("BtoA", (3, 1))])
def test_channels_follow_the_direction(tmp_path, direction, channels):
    flags = ["--input_nc", "1", "--output_nc", "3", "--direction", direction]
    for mode in ("aligned", "unaligned"):
        sample = first(make_data(tmp_path, mode), mode, *flags)
        assert (sample["A"].shape[0], sample["B"].shape[0]) == channels
    assert first(make_single(tmp_path), "single", *flags)["A"].shape[0] == 1  # what G takes


def test_channels_that_images_do_not_have_are_refused(tmp_path):
    with pytest.raises(UserError, match="0.png: it has 3 channels, expected are 4"):
        first(make_aligned(tmp_path), "aligned", "--input_nc", "4")


@pytest.mark.parametrize(
    ("mode", "flags", "words"),
    [
        ("aligned", [], "no folder .*train.*side by side.*folders there: other"),
        ("unaligned", [], "no folder .*trainA.*trainA.*trainB"),
        ("single", ["--max_dataset_size", "1"], r"no image in .*accepted: \.jpg"),
    ],
)
def test_missing_and_empty_folders_are_told_with_the_expected_tree(tmp_path, mode, flags, words):
    (tmp_path / "other").mkdir()
    with pytest.raises(UserError, match=words):
        first(tmp_path, mode, *flags)


def test_folders_are_searched_in_depth_by_extension_and_without_loops(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/1.JPG", "a/b/2.tiff", "3.png", "._3.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "linked").symlink_to(tmp_path / "a")
    names = [os.path.basename(path) for path in make_dataset(str(tmp_path))]
    assert sorted(names) == ["1.JPG", "2.tiff", "3.png"]
    assert len(make_dataset(str(tmp_path), 2)) == 2


def test_exif_rotation_is_applied(tmp_path):
    image = photo(0, (40, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.save(tmp_path / "turned.png", exif=exif)
    turned = np.asarray(load_image(str(tmp_path / "turned.png")))
    assert np.array_equal(turned, np.rot90(np.asarray(image), k=-1))


def test_a_file_that_is_no_image_is_named(tmp_path):
    (tmp_path / "x.png").write_text("<html>")
    with pytest.raises(UserError, match=r"x\.png: cannot be read as an image"):
        load_image(str(tmp_path / "x.png"))


@pytest.mark.parametrize("method", ["spawn"])
def test_workers_can_be_started_as_on_macos_and_windows(tmp_path, method):
    loader = data.create_dataset(options(make_aligned(tmp_path), "aligned", "--num_threads", "1"))
    here = torch.cat([batch["A"] for batch in data.create_dataset(options(tmp_path, "aligned"))])
    loader.loader.multiprocessing_context = multiprocessing.get_context(method)
    assert torch.equal(torch.cat([batch["A"] for batch in loader]), here)

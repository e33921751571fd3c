"""What each dataset yields, and what it says about folders that are not as expected."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import torch
from PIL import Image

import data
from data.check import look_at
from data.image_folder import load_image, make_dataset
from options.train_options import TrainOptions
from tests.helpers import (
    TINY,
    make_aligned,
    make_data,
    make_single,
    make_unaligned,
    needed_huggingface,
    photo,
)
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
    if mode == "huggingface":
        needed_huggingface()
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
    (tmp_path / "elsewhere").write_bytes(b"")
    (tmp_path / "4.png").symlink_to(tmp_path / "elsewhere")
    names = [os.path.basename(path) for path in make_dataset(str(tmp_path))]
    assert sorted(names) == ["1.JPG", "2.tiff", "3.png", "4.png"]
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


def four_layouts(root) -> dict[str, list[str]]:
    """The same pairs side by side, in two kinds of folders, and in a table: name -> flags."""
    for folder in (
        "one/train",
        "two/trainA",
        "two/trainB",
        "three/A/train",
        "three/B/train",
        "four",
    ):
        (root / folder).mkdir(parents=True)
    rows = ["phase,B,A"]
    for i in range(3):
        A, B = photo(i, (40, 36)), photo(10 + i, (40, 36))
        both = Image.new("RGB", (80, 36))
        both.paste(A, (0, 0))
        both.paste(B, (40, 0))
        both.save(root / "one" / "train" / f"{i}.png")
        A.save(root / "two" / "trainA" / f"{i}_A.png")
        B.save(root / "two" / "trainB" / f"{i}_B.png")
        A.save(root / "three" / "A" / "train" / f"{i}.png")
        B.save(root / "three" / "B" / "train" / f"{i}.tif")
        A.save(root / "four" / f"photo{i}.png")
        B.save(root / "four" / f"drawing{9 - i}.bmp")
        rows.append(f"train,drawing{9 - i}.bmp,photo{i}.png")
    rows.append("test,nowhere.png,nowhere.png")
    (root / "four" / "pairs.csv").write_text("\n".join(rows))
    table = ["--pairs", str(root / "four" / "pairs.csv")]
    return {"one": [], "two": [], "three": [], "four": table}


@pytest.mark.parametrize("preprocess", ["resize_and_crop", "crop", "scale_width_and_crop", "none"])
def test_pairs_are_the_same_from_all_four_layouts(tmp_path, preprocess):
    layouts = four_layouts(tmp_path)
    found = {}
    for name, flags in layouts.items():
        where = [] if name == "four" else ["--dataroot", str(tmp_path / name)]
        words = [*where, "--model", "template", "--dataset_mode", "aligned", *TINY, *flags]
        opt = TrainOptions().parse([*words, "--preprocess", preprocess])
        loader = data.create_dataset(opt)
        found[name] = [(batch["A"], batch["B"]) for batch in loader]
        assert len(found[name]) == 3
    for name in ("two", "three", "four"):
        for ours, theirs in zip(found["one"], found[name], strict=True):
            assert torch.equal(ours[0], theirs[0]) and torch.equal(ours[1], theirs[1])


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("A,B\nx.png,y.png\n", r"pairs\.csv, line 2: no file .*x\.png; files are relative to"),
        ("x.png\n", "line 1: no file"),
        ("", "no row of --phase train"),
        ("A,B,phase\nx.png,y.png,val\n", "no row of --phase train; phases there: val"),
    ],
)
def test_a_table_that_is_wrong_is_told_with_its_line(tmp_path, table, words):
    (tmp_path / "pairs.csv").write_text(table)
    with pytest.raises(UserError, match=words):
        first(tmp_path, "aligned", "--pairs", str(tmp_path / "pairs.csv"))


def test_an_image_without_partner_is_named_or_left_out(tmp_path, capsys):
    four_layouts(tmp_path)
    photo(5).save(tmp_path / "two" / "trainA" / "alone.png")
    with pytest.raises(UserError, match=r"alone\.png: no partner of this name.*1 of 7 images"):
        first(tmp_path / "two", "aligned")
    skip = ["--bad_images", "skip"]
    assert len(data.create_dataset(options(tmp_path / "two", "aligned", *skip))) == 3
    assert "alone.png: no partner" in capsys.readouterr().err


def test_partners_of_two_sizes_need_a_mode_that_scales_both(tmp_path):
    four_layouts(tmp_path)
    photo(10, (20, 18)).save(tmp_path / "two" / "trainB" / "0_B.png")
    sample = first(tmp_path / "two", "aligned")
    assert sample["A"].shape == sample["B"].shape
    words = r"0_A\.png: 40x36 px, but its partner .*0_B\.png has 20x18; make them equal"
    with pytest.raises(UserError, match=words):
        first(tmp_path / "two", "aligned", "--preprocess", "none")


def test_label_maps_keep_their_labels(tmp_path):
    make_unaligned(tmp_path)
    for file in (tmp_path / "trainB").iterdir():
        labels = np.zeros((48, 48), np.uint8)
        labels[10:30, 5:25] = 200
        Image.fromarray(labels).save(file)
    flags = ["--load_size", "75", "--crop_size", "64"]
    mixed, kept = (
        data.create_dataset(options(tmp_path, "unaligned", *flags, *label)).peek()
        for label in ([], ["--label_B"])
    )
    assert len(mixed["B"].unique()) > 2 and len(kept["B"].unique()) == 2
    assert torch.equal(mixed["A"], kept["A"])


def test_any_number_of_channels_and_two_ranges(tmp_path):
    for phase, channels, top in (("trainA", 5, 1000), ("trainB", 2, 8)):
        (tmp_path / phase).mkdir()
        for i in range(2):
            values = np.random.default_rng(i).uniform(-top, top, (40, 36, channels))
            np.save(tmp_path / phase / f"{i}.npy", values)
    ranges = ["--value_range", "-1000", "1000", "-8", "8"]
    channels = ["--input_nc", "5", "--output_nc", "2"]
    sample = first(tmp_path, "unaligned", *channels, *ranges)
    assert sample["A"].shape == (5, 32, 32) and sample["B"].shape == (2, 32, 32)
    for side in "AB":
        assert 0.8 < sample[side].abs().max() <= 1
    back = ["--input_nc", "2", "--output_nc", "5", "--direction", "BtoA"]
    assert first(tmp_path, "unaligned", *back, *ranges)["A"].shape == (5, 32, 32)
    for wrong in ("1", "1 2 3", "5 5", "0 1 3 2"):
        with pytest.raises(UserError, match=f"--value_range {wrong}: accepted: LOW HIGH"):
            options(tmp_path, "unaligned", "--value_range", *wrong.split())


@pytest.mark.parametrize(
    ("make", "mode", "words"),
    [
        (make_aligned, "unaligned", "this looks like paired data.*--dataset_mode aligned"),
        (make_unaligned, "colorization", "data .*trainA and .*trainB.*did you mean"),
        (lambda root: make_aligned(root / "inner").parent, "aligned", "--dataroot .*inner"),
        (lambda root: make_aligned(root) / "train", "aligned", r"did you mean --dataroot .*\?"),
        (lambda root: make_aligned(root, phases=("test",)), "aligned", "did you mean --phase test"),
        (make_unaligned, "aligned", "no name is in both|did you mean"),
    ],
)
def test_the_wrong_folder_or_mode_is_recognised(tmp_path, make, mode, words):
    root = make(tmp_path)
    if make is make_unaligned and mode == "aligned":
        for file in (tmp_path / "trainB").iterdir():
            file.rename(file.with_name("photo_" + file.name))
    with pytest.raises(UserError, match=words):
        first(root, mode)


def test_an_image_that_is_a_link_is_read(tmp_path):
    """As data sets are put together from a store that others share."""
    make_single(tmp_path / "store", 1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "first.png").symlink_to(tmp_path / "store" / "0.png")
    linked, own = (first(tmp_path / name, "single", "--preprocess", "none", "--no_flip")
                   for name in ("mine", "store"))  # fmt: skip
    assert linked["A_paths"] == str(tmp_path / "mine" / "first.png")
    assert torch.equal(linked["A"], own["A"])


def test_a_link_to_nowhere_and_other_files_are_said(tmp_path, capsys):
    make_single(tmp_path, 2)
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "sketch.psd").write_text("x")
    assert len(data.create_dataset(options(tmp_path, "single"))) == 2
    told = capsys.readouterr().err
    assert "gone.png: a link to a file that is not there" in told and "self.png" in told
    assert "2 files left out, no image" in told and "1 .psd" in told


def test_one_image_is_a_data_set_too(tmp_path):
    make_single(tmp_path, 2)
    assert len(data.create_dataset(options(tmp_path / "1.png", "single"))) == 1


def test_all_bad_images_are_listed_before_training(tmp_path, capsys):
    make_aligned(tmp_path)
    (tmp_path / "train" / "0.png").write_bytes(b"")
    (tmp_path / "train" / "2.png").write_bytes((tmp_path / "train" / "2.png").read_bytes()[:-400])
    with pytest.raises(UserError, match=r"0\.png: an empty file.*1 more of 4 images"):
        first(tmp_path, "aligned")
    assert "2.png: cannot be read as an image" in capsys.readouterr().err


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_bad_image_is_replaced_by_the_next_and_told(tmp_path, workers, capsys):
    make_aligned(tmp_path)
    (tmp_path / "train" / "1.png").write_bytes(b"")
    flags = ["--bad_images", "skip", "--serial_batches", "--num_threads", workers]
    loader = data.create_dataset(options(tmp_path, "aligned", *flags))
    for _ in range(2):
        names = [os.path.basename(batch["A_paths"][0]) for batch in loader]
        assert names == ["0.png", "2.png", "2.png", "3.png"]
    assert [os.path.basename(path) for path in loader.bad] == ["1.png"]
    assert capsys.readouterr().err.count("1.png: an empty file") == 1
    assert "without 1 bad images" in loader.describe_bad()


def test_nothing_but_bad_images_is_one_line(tmp_path):
    make_single(tmp_path, 2)
    for file in tmp_path.iterdir():
        file.write_bytes(b"")
    loader = data.create_dataset(options(tmp_path, "single", "--bad_images", "skip"))
    with pytest.raises(UserError, match=r"no image can be used; .*0\.png: an empty file"):
        loader.peek()


def test_mixed_sizes_are_refused_before_training_where_they_do_not_stack(tmp_path):
    make_single(tmp_path, 2)
    photo(5, (40, 64)).save(tmp_path / "other.png")
    flags = ["--preprocess", "none", "--batch_size", "2"]
    words = r"--batch_size 2: .*0\.png \(48x48 px\) and .*other\.png \(40x64 px\).*--preprocess"
    with pytest.raises(UserError, match=words):
        first(tmp_path, "single", *flags)
    assert first(tmp_path, "single", "--preprocess", "none")["A"].shape == (3, 48, 48)


def test_a_killed_worker_is_one_line_and_raises_where_the_batch_is_asked_for(tmp_path):
    loader = data.create_dataset(options(make_single(tmp_path, 40), "single", "--num_threads", "1"))
    with pytest.raises(UserError, match=r"data worker killed \(signal 9\).*lower --num_threads"):
        for _ in loader:
            os.kill(loader.workers[0].pid, signal.SIGKILL)
            time.sleep(0.2)  # nothing is raised here, in the midst of a step


def test_two_threads_of_the_check_find_what_decoding_finds(tmp_path):
    make_single(tmp_path, 3)
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:-30])
    dataset = data.find_dataset_using_name("single")(options(tmp_path, "single"))
    for workers in (0, 1, 2):
        found = look_at(dataset.expected(), workers)
        assert [os.path.basename(path) for path in found.bad] == ["1.png"]
        assert found.sizes.keys() == {(32, 32)}


def test_a_pair_may_be_one_file_twice(tmp_path):
    photo(0, (64, 64)).save(tmp_path / "0.png")
    (tmp_path / "pairs.csv").write_text("0.png,0.png")
    sample = first(tmp_path, "aligned", "--pairs", str(tmp_path / "pairs.csv"))
    assert torch.equal(sample["A"], sample["B"])


def test_partners_that_differ_are_left_out_and_never_padded_with_black(tmp_path):
    for side, px in (("A", 128), ("B", 70)):
        (tmp_path / f"train{side}").mkdir()
        for i in range(2):
            size = px if i else 128
            Image.new("RGB", (size, size), "white").save(tmp_path / f"train{side}" / f"{i}.png")
    flags = ["--preprocess", "crop", "--bad_images", "skip"]
    loader = data.create_dataset(options(tmp_path, "aligned", *flags))
    assert all(batch["B"].min() == 1 for batch in loader)
    assert [os.path.basename(path) for path in loader.bad] == ["1.png"]


def test_partners_that_are_equal_once_scaled_are_a_pair(tmp_path):
    for side, px in (("A", 128), ("B", 64)):
        (tmp_path / f"train{side}").mkdir()
        photo(0, (px, px)).save(tmp_path / f"train{side}" / "0.png")
    sample = first(tmp_path, "aligned", "--preprocess", "scale_width")
    assert sample["A"].shape == sample["B"].shape


def test_pairs_need_the_mode_that_reads_them(tmp_path):
    with pytest.raises(UserError, match="--pairs x.csv: it belongs to --dataset_mode aligned"):
        first(make_unaligned(tmp_path), "unaligned", "--pairs", "x.csv")

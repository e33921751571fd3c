"""scripts/check_data.py: what is there, what is wrong, what train.py would say."""

import os
import sys

import numpy as np
import pytest
from PIL import Image

from scripts import check_data
from tests.helpers import make_aligned, make_single, make_unaligned, photo
from util.results.folder import read_rows


def check(capsys, *argv, expect: int = 0) -> str:
    assert check_data.main([str(word) for word in argv]) == expect
    told = capsys.readouterr()
    return told.out + told.err


def test_a_good_set_is_told_with_the_mode_that_fits(tmp_path, capsys):
    told = check(capsys, "--dataroot", make_aligned(tmp_path, 3))
    assert "read as --dataset_mode aligned" in told and "no file is at fault" in told
    assert "train: 3 of 96x48 px, 3 x uint8" in told and "test: 3 images" in told


@pytest.mark.parametrize("quick", [[], ["--quick"]])
def test_every_kind_of_fault_is_found(tmp_path, capsys, quick):
    make_single(tmp_path / "trainA", 4)
    make_single(tmp_path / "trainB", 3, first=9)
    (tmp_path / "trainA" / "1.png").write_bytes(b"")
    photo(5, (20, 40)).save(tmp_path / "trainB" / "2.png")
    flags = ["--dataset_mode", "aligned", "--preprocess", "none", *quick]
    told = check(capsys, "--dataroot", tmp_path, *flags, expect=2)
    assert "3.png: no partner" in told
    assert "1.png: an empty file" in told
    assert "2.png: 48x48 px, but its partner" in told
    assert "at fault: 3" in told


def test_an_empty_side_and_values_without_a_range_are_faults(tmp_path, capsys):
    make_unaligned(tmp_path / "D")
    for file in (tmp_path / "D" / "trainA").iterdir():
        file.unlink()
    told = check(capsys, "--dataroot", tmp_path / "D", "--phase", "train", expect=2)
    assert "no image in" in told and "trainA" in told
    (tmp_path / "npy").mkdir()
    np.save(tmp_path / "npy" / "x.npy", np.full((8, 8, 3), 500.0))
    told = check(capsys, "--dataroot", tmp_path / "npy", expect=2)
    assert "x.npy: values from 500 to 500, not within 0 and 1" in told
    check(capsys, "--dataroot", tmp_path / "npy", "--value_range", 0, 1000)


def test_a_table_is_read_as_pairs(tmp_path, capsys):
    make_single(tmp_path, 2)
    (tmp_path / "pairs.csv").write_text("A,B\n0.png,1.png\n")
    told = check(capsys, "--dataroot", tmp_path, "--pairs", tmp_path / "pairs.csv")
    assert "1 image of A" in told and "no file is at fault" in told


def test_the_contact_sheet_shows_images_of_each_side_and_what_is_wrong(tmp_path, capsys):
    make_unaligned(tmp_path / "D", 3)
    (tmp_path / "D" / "trainB" / "0.png").write_bytes(b"")
    page = ["--page", tmp_path / "sheet"]
    check(capsys, "--dataroot", tmp_path / "D", "--phase", "train", *page, expect=2)
    text = (tmp_path / "sheet" / "index.html").read_text()
    assert "0.png: an empty file" in text
    shown = sorted(os.listdir(tmp_path / "sheet" / "images"))
    assert [name.split("_")[1] for name in shown] == ["A"] * 3 + ["B"] * 2
    assert all(Image.open(tmp_path / "sheet" / "images" / name).width == 48 for name in shown)
    rows = read_rows(tmp_path / "sheet")
    assert [list(row.pictures) for row in rows] == [["train_A_000", "train_B_000"],
                                                    ["train_A_001", "train_B_001"],
                                                    ["train_A_002"], []]  # fmt: skip
    assert rows[0].stem == ("train: A 0.png: 48x48 px, 3 x uint8 · B 1.png: 48x48 px, 3 x uint8")
    assert "train A" in text and "3 images" in text and "2 of them shown" in text


def named(root, *names: str) -> None:
    """Small photographs of some names."""
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        photo(number).save(root / name)


@pytest.mark.parametrize("A", ["img {}.png", "übung{}.png", "{}.png"])
def test_names_that_only_count_have_another_reading(tmp_path, capsys, A):
    """Two sets of equal sizes whose images are numbered may be pairs, or not."""
    named(tmp_path / "trainA", *(A.format(n) for n in range(12)))
    named(tmp_path / "trainB", *(f"{n}.png" for n in range(12)))
    told = check(capsys, "--dataroot", tmp_path, "--quick")
    assert "--dataset_mode aligned" in told
    assert "which only count" in told and "unaligned, as of --model cycle_gan" in told
    assert ("--pairs" in told) == (A != "{}.png")


CLASSES = [f"{kind}/{{}}{n}{{}}.png" for kind in ("cat", "dog") for n in range(4)]


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        ([name.format("", end) for name in CLASSES for end in ("_A", "_B")], "*_A:*_B"),
        ([name.format("", end) for name in CLASSES for end in ("-in", "-out")], "*-in:*-out"),
        ([name.format(start, "") for name in CLASSES for start in ("in_", "out_")], "in_*:out_*"),
        ([f"{n}_{end}.png" for n in range(4) for end in ("label", "photo")], "*_label:*_photo"),
    ],
)
def test_pairs_in_one_folder_are_told_with_their_rule(tmp_path, capsys, names, rule):
    """Also in folders of classes; train.py says the same, and takes what is printed."""
    named(tmp_path / "train", *names)
    told = check(capsys, "--dataroot", tmp_path, "--quick")
    assert "read as --dataset_mode aligned" in told and "no file is at fault" in told
    assert f"--pairs '{rule}'" in told and "train.py and test.py need the rule" in told
    assert f"{len(names) // 2} images of A" in told
    flags = ["--dataset_mode", "aligned", "--quick"]
    assert f"--pairs '{rule}'" in check(capsys, "--dataroot", tmp_path, *flags, expect=2)


@pytest.mark.parametrize("names", [["cat.1", "cat.2", "dog.1", "dog.2"], ["a1", "a2_x", "b_1"]])
def test_classes_in_names_are_no_pairs(tmp_path, capsys, names):
    named(tmp_path / "train", *(f"{name}.png" for name in names))
    told = check(capsys, "--dataroot", tmp_path, "--quick")
    assert "read as --dataset_mode colorization" in told


@pytest.mark.parametrize(
    ("names", "moves"),
    [
        (["cat/A/0", "cat/B/0", "dog/A/1", "dog/B/1"], ["cat/A trainA/cat", "dog/B trainB/dog"]),
        ([f"{kind}/q{c}z" for kind in ("sketch", "photo") for c in "abcd"], ["photo trainA"]),
    ],
)
def test_pairs_in_folders_of_one_folder_are_told_with_what_to_type(
    tmp_path, capsys, names, moves
):  # fmt: skip
    named(tmp_path / "train", *(f"{name}.png" for name in names))
    told = check(capsys, "--dataroot", tmp_path, "--quick", expect=2)
    for move in moves:
        old, new = move.split()
        assert f"mv {tmp_path}/train/{old} {tmp_path}/{new}" in told
    typed = told.partition("type: ")[2].partition(";")[0]
    assert os.system(typed) == 0
    assert "no file is at fault" in check(capsys, "--dataroot", tmp_path, "--quick")


def test_a_missing_partner_is_told_once(tmp_path, capsys):
    make_unaligned(tmp_path)
    for folder in ("trainA", "trainB"):
        for number, name in enumerate(["bat", "cot", "elk", "fly"]):
            (tmp_path / folder / f"{number}.png").rename(tmp_path / folder / f"{name}.png")
    (tmp_path / "trainB" / "elk.png").unlink()
    told = check(capsys, "--dataroot", tmp_path, "--phase", "train", "--quick", expect=2)
    assert told.count("no partner") == 1 and "3 images of A" in told


@pytest.mark.parametrize("reader", ["a full disk", "gone"])
def test_a_report_that_was_lost_is_no_success(tmp_path, reader):
    argv = ["--dataroot", str(make_aligned(tmp_path, 1)), "--quick"]
    end, gone = os.pipe()
    os.close(end)
    stream = gone if reader == "gone" else os.open("/dev/full", os.O_WRONLY)
    if (child := os.fork()) == 0:
        os.dup2(stream, 1)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 -- instead of pytest's
        os._exit(check_data.main(argv))
    os.close(stream)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1

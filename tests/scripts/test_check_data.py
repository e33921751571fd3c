"""scripts/check_data.py: what is there, what is wrong, what train.py would say."""

import os

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
    assert "1 images of A" in told and "no file is at fault" in told


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

"""The folder of a test: whose depth a picture takes, and what happens to an earlier test's."""

import numpy as np
import pytest
import torch
from PIL import Image

from util.results.writer import PageInfo, PictureRules, Results, side_of


@pytest.fixture
def files(tmp_path):
    """A source of 16 bits, and a target of floats."""
    A, B = np.full((8, 8), 40_000, np.uint16), np.full((8, 8), 0.25, np.float32)
    Image.fromarray(A).save(tmp_path / "x.png")
    np.save(tmp_path / "x.npy", B)
    return {"A": str(tmp_path / "x.png"), "B": str(tmp_path / "x.npy")}


def write(folder, files, labels, sides=None) -> Results:
    results = Results(folder, PageInfo("t"), PictureRules(sides=sides or {})).begin()
    with results:
        for _ in range(2):
            results.add(files, {label: torch.zeros(1, 1, 8, 8) for label in labels})
    results.finish()
    return results


def written(folder, label: str) -> set[str]:
    """How a picture came out, beside the one to look at."""
    files = (folder / "images").glob(f"x_{label}.*")
    return {np.load(f).dtype.name if f.suffix == ".npy" else Image.open(f).mode for f in files}


@pytest.mark.parametrize(
    ("visual", "side"),
    [
        ("real_A", "A"), ("fake_B", "B"), ("rec_A", "A"), ("idt_B", "B"), ("fake_B_rgb", "B"),
        ("real", "A"), ("fake", "B"), ("output", None), ("mask_Best", None), ("A", None),
    ],
)  # fmt: skip
def test_names_tell_the_side(visual, side):
    assert side_of(visual, {}) == side
    assert side_of(visual, {visual: "A"}) == "A" and side_of(visual, {visual: "B"}) == "B"


def test_depth_and_format_are_those_of_the_side(tmp_path, files, capsys):
    write(tmp_path / "r", files, ["real_A", "fake_B", "output", "mask"], {"mask": "A"})
    for label, kinds in {"real_A": {"I;16"}, "fake_B": {"float32", "RGB"},
                         "output": {"float32", "RGB"}, "mask": {"I;16"}}.items():  # fmt: skip
        assert written(tmp_path / "r", label) == kinds, label
    told = capsys.readouterr().err
    assert told.count("warning: ") == 1
    assert "visual 'output': written with depth and range of the target" in told
    assert 'visual_sides = {"output": "A"} in the model' in told


def test_where_both_sides_are_alike_nothing_has_to_be_told(tmp_path, files, capsys):
    write(tmp_path / "r", files | {"B": files["A"]}, ["output"])
    assert written(tmp_path / "r", "output") == {"I;16"}
    write(tmp_path / "s", {"A": files["A"]}, ["output"])
    assert written(tmp_path / "s", "output") == {"I;16"} and not capsys.readouterr().err


def test_a_new_object_deletes_nothing_until_it_begins(tmp_path, files, capsys):
    folder = tmp_path / "r"
    write(folder, files, ["real_A", "old_A"])
    before = {f.name: f.read_bytes() for f in (folder / "images").iterdir()}
    page = (folder / "index.html").read_bytes()
    results = Results(folder, PageInfo("t"), PictureRules())
    assert {f.name: f.read_bytes() for f in (folder / "images").iterdir()} == before
    assert (folder / "index.html").read_bytes() == page
    results.begin(dataroot=str(folder / "images"))  # which is read
    assert len(list((folder / "images").iterdir())) == len(before)
    assert "stay there, as they are read" in capsys.readouterr().err
    write(folder, files, ["real_A"])
    assert {f.name for f in (folder / "images").iterdir()} == before.keys(), "the page is another"
    write(folder, files, ["fake_B"])
    assert "x_real_A.png" not in {f.name for f in (folder / "images").iterdir()}

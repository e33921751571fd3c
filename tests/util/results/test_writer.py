"""The folder of a test: whose depth a picture takes, and what happens to an earlier test's."""

import numpy as np
import pytest
import torch
from PIL import Image

from util.direction import side_of
from util.results.rules import PictureRules
from util.results.writer import PageInfo, Results


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


def contents(folder) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


def test_equal_results_replace_and_others_are_kept(tmp_path, files, capsys):
    """User report 5: nothing goes that is not in its successor; files of others stay."""
    folder = tmp_path / "r"
    write(folder, files, ["real_A"])
    (folder / "notes.txt").write_text("mine")
    before = contents(folder)
    results = Results(folder, PageInfo("t"), PictureRules())
    assert contents(folder) == before
    results.begin()
    assert contents(folder) == before, "what is written lies elsewhere until it is whole"
    results.place.give_up(begun=False)
    assert [f.name for f in tmp_path.iterdir() if f.is_dir()] == ["r"]
    write(folder, files, ["real_A", "fake_B"])  # the same and more
    assert contents(folder).keys() > before.keys() and not (tmp_path / "r.1").exists()
    before = contents(folder)
    capsys.readouterr()
    write(folder, files, ["fake_B"])
    assert contents(tmp_path / "r.1") == before and "kept as" in capsys.readouterr().out
    assert not any("real_A" in name for name in contents(folder))

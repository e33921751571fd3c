"""The folder of a test: what others leave or write there is not mixed with its own."""

import os
import signal

import pytest
import torch
from PIL import Image

from util.errors import UserError
from util.results.rules import PictureRules
from util.results.writer import PageInfo, Results


@pytest.fixture
def begin(tmp_path):
    """A test of r/latest that has written the pictures of some values: its Results."""
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")

    def begin(*values: float, flat: bool = False) -> Results:
        rules = PictureRules(flat=flat)
        results = Results(tmp_path / "r" / "latest", PageInfo("t"), rules, writers=1).begin()
        with results:
            for number, value in enumerate(values):
                (tmp_path / f"{number}.png").write_bytes((tmp_path / "x.png").read_bytes())
                image = torch.full((1, 3, 8, 8), value)
                results.add({"A": str(tmp_path / f"{number}.png")}, {"fake": image})
        return results

    return begin


def killed(begin, *values: float, **how) -> None:
    """A test that SIGKILL ends; a picture that its page does not know yet is halfway on disk."""
    if (child := os.fork()) == 0:
        folder = begin(*values, **how).folder
        (folder / ".9_fake.png.part").write_bytes(b"half")
        Image.new("RGB", (8, 8)).save(
            folder / "9_fake.png" if how else folder / "images/9_fake.png"
        )
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("flat", [False, True])
def test_pictures_of_a_killed_test_are_not_mixed_with_the_next_ones(begin, tmp_path, capsys, flat):
    killed(begin, 0.1, 0.2, 0.3, flat=flat)
    begin(0.5, flat=flat).finish()
    latest = tmp_path / "r" / "latest"
    assert names(tmp_path / "r") == ["latest", "latest.1"]
    pictures = [path.name for path in latest.rglob("*.png")]
    assert pictures == ["0.png" if flat else "0_fake.png"]
    told = capsys.readouterr().out
    assert f"of a test that did not finish, are kept as {latest}.1" in told


def test_what_a_killed_test_has_left_goes_when_the_test_is_done_again(begin, tmp_path, capsys):
    """In the folder itself, and in <folder>.N where earlier results were there; else it is told."""
    begin(0.1, 0.2).finish()
    killed(begin, 0.3)
    begin(0.7).finish()
    told = capsys.readouterr().out
    assert "latest.1: left by a test that did not finish" in told and "of other images" in told
    assert names(tmp_path / "r") == ["latest", "latest.1", "latest.2"]
    (tmp_path / "r" / "latest.1" / "images" / "9_fake.png").unlink()
    begin(0.3, 0.3).finish()  # holds what latest.1 has
    assert names(tmp_path / "r") == ["latest", "latest.2", "latest.3"]


def test_one_that_was_killed_before_its_first_picture_leaves_nothing(begin, tmp_path):
    killed(begin)
    (tmp_path / "r" / "latest" / "images" / "9_fake.png").unlink()
    begin(0.1).finish()
    assert names(tmp_path / "r") == ["latest"]


def in_another_process(begin, *values: float) -> tuple[int, int]:
    """(pid, a descriptor that ends it when it is closed) of a test that has begun."""
    (told, tell), (wait, end) = os.pipe(), os.pipe()
    if (child := os.fork()) == 0:
        os.close(end)
        begin(*values)
        os.write(tell, b"!")
        os.read(wait, 1)
        os._exit(0)
    os.close(wait)
    assert os.read(told, 1) == b"!"
    return child, end


@pytest.mark.parametrize("earlier", [False, True])
def test_two_tests_at_once_have_a_folder_each(begin, tmp_path, capsys, earlier):
    if earlier:
        begin(0.0, 0.1, 0.2).finish()
    child, end = in_another_process(begin, 0.3, 0.4)
    results = begin(0.5)
    results.finish()
    first = tmp_path / "r" / ("latest.1" if earlier else "latest")
    assert names(first / "images") == ["0_fake.png", "1_fake.png"]
    assert names(results.folder / "images") == ["0_fake.png"]
    told = capsys.readouterr().out
    assert results.folder.name == ("latest" if earlier else "latest.1")
    assert earlier or f"process {child} on " in told and "these stay in" in told
    os.close(end)
    os.waitpid(child, 0)


def test_a_folder_that_is_a_link_to_a_larger_disk_stays_one(begin, tmp_path):
    (tmp_path / "disk" / "big").mkdir(parents=True)
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "latest").symlink_to(tmp_path / "disk" / "big")
    begin(0.1, 0.2).finish()
    begin(0.5).finish()
    assert names(tmp_path / "r") == ["latest"] and (tmp_path / "r" / "latest").is_symlink()
    assert names(tmp_path / "disk") == ["big", "big.1"]
    assert names(tmp_path / "r" / "latest" / "images") == ["0_fake.png"]


@pytest.mark.parametrize("target", ["nowhere", "latest"])
def test_a_link_that_leads_nowhere_is_told(begin, tmp_path, target):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "latest").symlink_to(target)
    with pytest.raises(UserError, match=f"a link to {target}, which is not there"):
        begin(0.1)


def test_a_folder_that_cannot_be_renamed_keeps_what_it_has(begin, tmp_path, capsys, monkeypatch):
    """As the one that a disk is mounted on."""
    begin(0.1, 0.2).finish()
    results, latest, replace = begin(0.5), tmp_path / "r" / "latest", os.replace

    def busy(source, target):
        if source == latest:
            raise OSError(16, "Device or resource busy")
        replace(source, target)

    monkeypatch.setattr(os, "replace", busy)
    results.finish()
    assert "these results stay in" in capsys.readouterr().out
    assert names(latest / "images") == ["0_fake.png", "1_fake.png"]
    assert names(tmp_path / "r") == ["latest", "latest.1"]
    assert names(tmp_path / "r" / "latest.1" / "images") == ["0_fake.png"]


def test_one_image_is_no_images(begin, capsys):
    begin(0.1).finish()
    assert "results of 1 image: " in capsys.readouterr().out


def test_what_is_said_of_results_is_one_line_a_path(tmp_path, capsys):
    """Whatever their folder is called."""
    folder, image = tmp_path / "a\n\x1b[31mb", torch.zeros(1, 3, 8, 8)
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    for value in (0.0, 0.5):
        with Results(folder, PageInfo("t"), PictureRules(), writers=1).begin() as results:
            results.add({"A": str(tmp_path / "x.png")}, {"fake": image + value})
        results.finish()
    told = capsys.readouterr().out
    assert told.count("\n") == 3 and "\x1b" not in told and "a\\n\\x1b[31mb" in told

"""What a run remembers of its images, from one session to the next."""

import json
import shutil

import pytest

from tests.helpers import TINY, make_aligned, make_unaligned, photo
from tests.helpers import train as run_train

RUN = ["--netG", "resnet_6blocks", "--name", "r", *TINY, "--n_epochs_decay", 0, "--n_epochs"]
CHANGED = "the images are not those of the session before"


def rename(folder):
    (folder / "2.png").rename(folder / "9.png")


def replace(folder):
    photo(30, (96, 48)).save(folder / "1.png")


def swap(folder):
    for old, new in (("0", "x"), ("1", "0"), ("x", "1")):
        (folder / f"{old}.png").rename(folder / f"{new}.png")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (rename, "1 not there any more, e.g. train/2.png; 1 new, e.g. train/9.png"),
        (replace, "1 with other content, e.g. train/1.png"),
        (swap, "2 with other content"),
    ],
)
def test_images_that_changed_between_two_sessions_are_told(tmp_path, capsys, change, words):
    """Fault 104: renamed or replaced, with the count unchanged."""
    pairs = make_aligned(tmp_path / "pairs", 3)
    words_of_run = ["--dataroot", pairs, "--model", "pix2pix", *RUN]
    run_train(*words_of_run, 1)
    change(pairs / "train")
    capsys.readouterr()
    run_train(*words_of_run, 2, "--continue_train")
    told = capsys.readouterr().err
    assert CHANGED in told and words in told
    run_train(*words_of_run, 3, "--continue_train")  # told once
    assert CHANGED not in capsys.readouterr().err


def test_the_same_images_elsewhere_or_without_a_record_are_not_told(tmp_path, capsys):
    """Fault 104: a data set that has moved, and a run of an earlier version."""
    maps = make_unaligned(tmp_path / "maps", 2)
    run_train("--dataroot", maps, "--model", "cycle_gan", *RUN, 1)
    shutil.copytree(maps, tmp_path / "moved")
    shutil.rmtree(maps)
    words = ["--dataroot", tmp_path / "moved", "--model", "cycle_gan", *RUN]
    run_train(*words, 2, "--continue_train")
    record = tmp_path / "checkpoints" / "r" / "data_files.json"
    assert list(json.loads(record.read_bytes())) == ["A", "B"]
    record.unlink()
    run_train(*words, 3, "--continue_train")
    assert CHANGED not in capsys.readouterr().err
    record.write_text("[1]")
    run_train(*words, 4, "--continue_train")
    assert "data_files.json: cannot be read" in capsys.readouterr().err

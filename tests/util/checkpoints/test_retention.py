"""What a training keeps on the disk: checkpoints with a number are weights alone, and how many."""

import errno
import json
import os
import re
import shutil
import stat
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from tests.helpers import TINY, make_aligned, metrics
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.checkpoints.checkpoint import find_checkpoint, list_checkpoints, save_checkpoint
from util.checkpoints.weights import load_file
from util.errors import UserError
from util.training.checkpointer import _save_in_two_attempts

PIX2PIX = ["--model", "pix2pix", "--netG", "resnet_6blocks", *TINY, "--print_freq", 1,
           "--n_epochs_decay", 0]  # fmt: skip
CPU = ["--gpu_ids", -1]


@pytest.fixture
def pairs(tmp_path):
    return ["--dataroot", make_aligned(tmp_path / "pairs", 1, ("train", "test"))]


@pytest.fixture
def trained(tmp_path, pairs):
    """Five epochs of one image, each with a number."""
    run_train(*pairs, *PIX2PIX, "--n_epochs", 5, "--name", "p", "--save_epoch_freq", 1)
    return tmp_path / "checkpoints" / "p"


def save(run: Path, value: float, labels: list[str], **how) -> None:
    weights = {"G": {"w": torch.full((3,), value)}}
    progress = {"epoch": int(value) + 1, "seen": 0, "images": int(value), "size": 1}
    state = {"progress": progress, "moments": torch.full((3,), value)}
    save_checkpoint(run, weights, state, labels, 2, **how)


def held(run: Path) -> list[tuple[str, bool]]:
    """Of each checkpoint its labels, and whether it holds the training state."""
    return [("+".join(unit.labels), unit.has_state) for unit in list_checkpoints(run)]


def labels(run: Path) -> set[str]:
    return {file.name.partition("_net_")[0] for file in run.glob("*_net_*")}


class TestNumbered:
    """User report 14: optimizers are kept in every numbered checkpoint, 27 GB in 200 epochs."""

    def test_they_hold_weights_alone_once_newer_ones_are_there(self, trained, pairs):
        """User report 14: numbered checkpoints hold weights alone, the last ones all."""
        assert held(trained) == [
            ("5+latest", True), ("4+latest", True), ("3+latest", False), ("2+latest", False),
            ("1+latest", False)]  # fmt: skip
        state = {f.name for f in (trained / "snapshots" / "0003").iterdir()}
        assert state == {"manifest.json", "net_G.pth", "net_D.pth"}
        for label in ("3", "4"):  # published once more, but not twice on the disk
            links = (trained / f"{label}_net_G.pth").stat().st_nlink
            assert links == (2 if label == "3" else 1)
        run_test(*pairs, "--name", "p", "--epoch", 2, *CPU)

    def test_going_on_from_one_is_refused_or_told(self, trained, capsys):
        """User report 14: weights alone are no exact resume, and that is never silent."""
        again = ["--name", "p", "--continue_train", "--epoch", 3, *CPU]
        run_train(*again, expect=2)
        error = capsys.readouterr().err.splitlines()[-1]
        assert re.search(
            "0003: weights alone .*optimizers, .* begin anew; .*--allow_changed", error
        )
        assert len(metrics(trained)) == 5  # nothing is lost by the attempt
        run_train(*again, "--allow_changed")
        text = capsys.readouterr()
        assert "random numbers begin anew, in epoch 4" in text.err
        assert "going on with epoch 4 of 5, after 3 images" in text.out
        assert [line["images"] for line in metrics(trained)] == [1, 2, 3, 4, 5]

    def test_save_state_all_keeps_them(self, tmp_path):
        """User report 14: unless asked for."""
        for value in range(1, 6):
            save(tmp_path, value, ["latest", str(value)], all_states=True)
        assert [has_state for _, has_state in held(tmp_path)] == [True] * 5
        for value in range(6, 9):  # what was asked for stays, also where a session asks no more
            save(tmp_path, value, ["latest"])
        assert [has_state for _, has_state in held(tmp_path)] == [True] * 7

    def test_those_of_the_version_before_keep_their_state(self, tmp_path):
        """User report 14: their numbers were exact; they still are."""
        save(tmp_path, 1, ["latest", "1"])
        manifest = tmp_path / "snapshots" / "0001" / "manifest.json"
        facts = json.loads(manifest.read_text())
        del facts["state_while_last"], facts["files"]["net_G.pth"]
        (tmp_path / "snapshots" / "0001" / "net_G.pth").unlink()
        manifest.write_text(json.dumps(facts))
        for value in range(2, 6):
            save(tmp_path, value, ["latest"])
        assert list_checkpoints(tmp_path)[-1].state()["moments"][0] == 1

    @pytest.mark.parametrize(("kept", "numbers"), [(1, {"5"}), (3, {"3", "4", "5"}),
                                                   (9, {"1", "2", "3", "4", "5"})])  # fmt: skip
    def test_keep_checkpoints_bounds_them(self, tmp_path, kept, numbers):
        """User report 14: a flag bounds them; by epochs and by iterations alike."""
        for value in range(1, 6):
            save(tmp_path / "a", value, ["latest", str(value)], keep_numbered=kept)
            save(tmp_path / "b", value, [f"iter_{value}"], keep_numbered=kept)
        assert labels(tmp_path / "a") == numbers | {"latest"}
        assert labels(tmp_path / "b") == {f"iter_{number}" for number in numbers}
        assert len(list_checkpoints(tmp_path / "a")) == max(2, kept if kept < 5 else 5)

    def test_a_file_of_the_users_own_under_a_number_stays(self, tmp_path):
        """User report 14: bounding deletes what the training wrote, and nothing else."""
        save(tmp_path, 1, ["latest", "1"], keep_numbered=1)
        torch.save({"mine": torch.zeros(7)}, tmp_path / "1_net_G.pth")
        for value in range(2, 6):
            save(tmp_path, value, ["latest", str(value)], keep_numbered=1)
        assert "mine" in load_file(tmp_path / "1_net_G.pth")


def test_no_file_is_read_only_and_a_copy_onto_latest_harms_no_checkpoint(trained):
    """User report 14: `rm -r` asks for every read-only file; what those were for holds without."""
    files = [f for f in trained.rglob("*") if f.is_file()]
    assert files and all(f.stat().st_mode & stat.S_IWUSR for f in files)
    with open(trained / "latest_net_G.pth", "r+b") as file:  # as `cp` does
        file.write(b"something else")
    assert not list_checkpoints(trained)[0].damage()
    with open(trained / "5_net_G.pth", "r+b") as file:
        file.write(b"something else")
    assert not list_checkpoints(trained)[0].damage()


def test_the_disk_use_is_said_at_the_start(tmp_path, pairs, monkeypatch, capsys):
    """User report 14: size of one, how many, in all, what is free; a warning if it will not fit."""
    flags = [*pairs, *PIX2PIX, "--n_epochs", 200, "--name", "p", "--dry_run"]
    run_train(*flags)
    text = capsys.readouterr()
    line = re.search(
        r"a checkpoint is about ([\d.]+) MB; by this plan the last 2 are kept whole and 40 with a "
        r"number \(weights alone, ([\d.]+) MB each\): about ([\d.]+) GB in all, [\d.]+ GB are free "
        "in checkpoints\n", text.out)  # fmt: skip
    whole, weights, total = map(float, line.groups())
    assert whole == pytest.approx(3 * weights, rel=0.1)
    assert total == pytest.approx((2 * whole + 41 * weights) / 1000, abs=0.01)
    assert "the disk lacks" not in text.err
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 10**6))
    run_train(*flags, "--save_state", "all", "--keep_checkpoints", 10)
    text = capsys.readouterr()
    assert "10 with a number (whole, too)" in text.out
    assert re.search(
        r"warning: checkpoints: the disk lacks about 0.0\d GB .*--keep_checkp", text.err
    )


def test_what_is_said_is_what_is_written(trained, pairs, capsys):
    """User report 14: the size that was told is that of the files."""
    run_train(*pairs, *PIX2PIX, "--name", "q", "--dry_run")
    told = float(re.search(r"a checkpoint is about ([\d.]+) MB", capsys.readouterr().out)[1])
    newest = list_checkpoints(trained)[0]
    assert told * 1e6 == pytest.approx(sum(e["bytes"] for e in newest.files.values()), rel=0.1)
    assert find_checkpoint(trained, "latest").number == newest.number
    assert os.stat(trained / "latest_net_G.pth").st_nlink == 1


def test_the_only_checkpoint_has_none_before_it(tmp_path, capsys):
    """Nothing is promised that is not there; with two, the one before is taken."""
    for number in (1, 2):
        save(tmp_path, float(number), ["latest"])
        newest = tmp_path / "snapshots" / f"000{number}" / "state.pth"
        newest.chmod(0o600)
        newest.write_bytes(newest.read_bytes() + b"!")
        if number == 1:
            with pytest.raises(UserError, match="it is of the run's only checkpoint"):
                find_checkpoint(tmp_path, "latest")
            assert not capsys.readouterr().err
    with pytest.raises(UserError, match="every checkpoint is damaged"):
        find_checkpoint(tmp_path, "latest")
    told = capsys.readouterr().err
    assert told.count("going back") == 1 and told.count("there is none before it") == 1


def test_weights_of_another_run_in_the_place_of_a_number_are_refused(trained, tmp_path):
    """`cp` writes into the file that the checkpoint itself has; an older and a newer one."""
    for number in ("1", "5"):
        public = trained / f"{number}_net_G.pth"
        other = tmp_path / "other.pth"
        weights = {key: value + 1 for key, value in load_file(public).items()}
        torch.save(weights, other)
        public.chmod(0o600)
        shutil.copyfile(other, public)
        with pytest.raises(UserError, match=f"--epoch {number} is damaged"):
            find_checkpoint(trained, number)


def test_a_limit_on_the_size_of_files_is_told_as_such(tmp_path, monkeypatch):
    """`ulimit -f`: free space has nothing to do with it, and it is the same a moment later."""
    tries = []

    def too_large(path, content, durable=True):
        tries.append(path)
        raise OSError(errno.EFBIG, "File too large", str(path))

    monkeypatch.setattr("util.atomic.write", too_large)
    warnings, failure = _save_in_two_attempts(lambda: save(tmp_path, 1.0, ["latest"]))
    assert len(tries) == 1 and warnings == []
    assert "ulimit -f" in str(failure) and " free" not in str(failure)

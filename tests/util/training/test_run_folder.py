"""The folder of a run: links, and locks of odd times."""

import json
import os
import time

import pytest

from options.runs import missing
from util.checkpoints.weights import load_file
from util.errors import UserError
from util.training import run_folder
from util.training.run_folder import make_room, run_lock


@pytest.fixture
def linked(tmp_path):
    """checkpoints/r, a link to a folder on a larger disk, with an earlier run in it."""
    large = tmp_path / "large" / "r"
    (large / "web").mkdir(parents=True)
    (large / "web" / "index.html").write_text("earlier")
    (large / "data").symlink_to(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    run = tmp_path / "checkpoints" / "r"
    run.symlink_to(large)
    return run, large


def test_overwrite_empties_what_a_link_leads_to(linked, capsys):
    """Fault 105: the link and its target stay, the earlier run is gone."""
    run, large = linked
    make_room(run, overwrite=True)
    assert run.is_symlink() and run.resolve() == large.resolve()
    assert list(large.iterdir()) == [] and large.parent.parent.is_dir()
    assert "deleted (--overwrite)" in capsys.readouterr().out


def test_an_earlier_run_is_kept_where_its_link_leads(linked, capsys):
    """Fault 105: the new run is on the larger disk as well."""
    run, large = linked
    (large.parent / "r.1").mkdir()
    make_room(run, overwrite=False)
    assert run.is_symlink() and run.resolve() == large.resolve()
    assert list(run.iterdir()) == []
    kept = run.with_name("r.2")
    assert kept.is_symlink() and (kept / "web" / "index.html").read_text() == "earlier"
    assert (large.parent / "r.2" / "web").is_dir()
    assert f"kept as {kept}" in capsys.readouterr().out


def test_a_target_that_cannot_be_renamed_keeps_its_run(linked, monkeypatch, capsys):
    """Fault 105: a disk that is mounted there."""
    run, large = linked
    real = os.rename

    def rename(source, target):
        if str(source) == str(large):
            raise OSError(16, "Device or resource busy")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    make_room(run, overwrite=False)
    kept = run.with_name("r.1")
    assert (kept / "web" / "index.html").read_text() == "earlier" and not run.exists()
    assert "cannot be renamed (Device or resource busy)" in capsys.readouterr().err


def test_a_link_to_nowhere_is_told(tmp_path):
    """Fault 105: the disk is not mounted; nothing is written in its place."""
    (tmp_path / "r").symlink_to(tmp_path / "unmounted" / "r")
    told = pytest.raises(UserError, match="r: a link to .*unmounted/r, which is not there")
    with told, run_lock(tmp_path / "r"):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r"]


@pytest.mark.parametrize("ahead_s", [3600, 10 * 365 * 86400])
def test_a_lock_whose_time_lies_in_the_future_blocks_nobody(ahead_s, tmp_path, capsys):
    """Fault 99: of a version that locked nothing but touched its file."""
    lock = tmp_path / ".r.lock"
    lock.write_text(json.dumps({"pid": 1, "host": "elsewhere", "started": "1"}))
    os.utime(lock, (time.time() + ahead_s,) * 2)
    with run_lock(tmp_path / "r"):
        pass
    err = capsys.readouterr().err
    assert err.count("in the future") == 1 and "taking over" in err


def test_the_clock_of_the_disk_decides(tmp_path, monkeypatch, capsys):
    """Fault 99: this machine's clock is at 1970, the lock's holder is alive."""
    lock = tmp_path / ".r.lock"
    lock.write_text(json.dumps({"pid": 1, "host": "elsewhere", "started": "1"}))
    monkeypatch.setattr(run_folder.time, "time", lambda: 0.0)
    with (
        pytest.raises(UserError, match="in use by process 1 on elsewhere"),
        run_lock(tmp_path / "r"),
    ):
        pass


def test_a_lock_that_is_a_link_is_not_written_through(tmp_path):
    """Fault 95."""
    (tmp_path / "bashrc").write_text("mine")
    (tmp_path / ".r.lock").symlink_to(tmp_path / "bashrc")
    with pytest.raises(UserError, match="a link, which is not followed"), run_lock(tmp_path / "r"):
        pass
    assert (tmp_path / "bashrc").read_text() == "mine"


@pytest.mark.parametrize(
    ("kind", "words"),
    [("a file", "a file is where a folder should be"), ("a loop", "a link to r, which is not")],
)
def test_what_is_no_folder_in_a_runs_place_is_told_at_once(tmp_path, kind, words):
    """By a training before anything else, by --continue_train, and where weights are looked for."""
    folder = tmp_path / "r"
    if kind == "a file":
        folder.write_text("mine")
    else:
        folder.symlink_to("r")
    with pytest.raises(UserError, match=words), run_lock(folder):
        pass
    with pytest.raises(UserError, match=words):
        raise missing("--continue_train", "r", tmp_path)
    with pytest.raises(UserError, match=words):
        load_file(folder / "latest_net_G.pth")
    assert [path.name for path in tmp_path.iterdir()] == ["r"]

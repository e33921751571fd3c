"""Checkpoints of a form that was never written, and what other programs put beside them."""

import hashlib
import json
import math
import shutil
from pathlib import Path

import pytest
import torch

from tests.helpers import TINY, make_aligned
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.checkpoints.checkpoint import find_checkpoint, list_checkpoints, save_checkpoint
from util.checkpoints.weights import load_file, published, saved_epochs
from util.errors import UserError
from util.seed import random_state

PIX2PIX = ["--model", "pix2pix", "--netG", "resnet_6blocks", *TINY, "--n_epochs_decay", 0]
CPU = ["--gpu_ids", -1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    data = make_aligned(folder / "pairs", 1)
    run_train("--dataroot", data, *PIX2PIX, "--n_epochs", 2, "--name", "p", "--save_epoch_freq", 1,
              "--checkpoints_dir", folder)  # fmt: skip
    return folder


@pytest.fixture
def run(trained, tmp_path):
    return Path(shutil.copytree(trained / "p", tmp_path / "checkpoints" / "p"))


def save(run: Path, value: int) -> None:
    state = {
        "progress": {"epoch": value, "seen": 0, "images": value, "size": 1},
        "model": {"optimizers": [torch.ones(2)]},
        "local": [{"model": {}, "random": random_state()}],
        "view": {"row": value},
    }
    save_checkpoint(run, {"G": {"w": torch.full((3,), float(value))}}, state, ["latest"], 2)


def rewrite(checkpoint: Path, state: object) -> None:
    """Another training state, with its digest in the manifest."""
    torch.save(state, checkpoint / "state.pth")
    content = (checkpoint / "state.pth").read_bytes()
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    digest = hashlib.sha256(content).hexdigest()
    manifest["files"]["state.pth"] = {"bytes": len(content), "sha256": digest}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))


def without(key: str):
    return lambda state: {name: value for name, value in state.items() if name != key}


def with_progress(**changed: object):
    return lambda state: state | {"progress": state["progress"] | changed}


STATES = {
    "a list": lambda state: [state],
    "a number": lambda state: 3,
    "no progress": without("progress"), "no model": without("model"), "no local": without("local"),
    "no view": without("view"),
    "no epoch": lambda state: state | {"progress": {"images": 3}},
    "a negative epoch": with_progress(epoch=-1),
    "an epoch of NaN": with_progress(epoch=math.nan),
    "images as text": with_progress(images="5"),
    "a list for a dict": lambda state: state | {"model": [state["model"]]},
    "a dict for a list": lambda state: state | {"local": state["local"][0]},
    "no process": lambda state: state | {"local": []},
    "no random numbers": lambda state: state | {"local": [{"model": {}, "random": {}}]},
    "a row of text": lambda state: state | {"view": {"row": "x"}},
    "moments of NaN": lambda state: state | {"model": {"optimizers": [torch.full((2,), math.nan)]}},
}  # fmt: skip


@pytest.mark.parametrize("kind", STATES)
def test_a_state_of_unexpected_form_is_told_and_the_one_before_taken(tmp_path, capsys, kind):
    """Fault 102: the digest is right, the form is not."""
    for value in (1, 2):
        save(tmp_path, value)
    newest = list_checkpoints(tmp_path)[0].folder
    rewrite(newest, STATES[kind](load_file(newest / "state.pth")))
    assert find_checkpoint(tmp_path, "latest", training=True).number == 1
    warned = capsys.readouterr().err
    assert "0002/state.pth: no training state: " in warned and warned.count("\n") == 1
    rewrite(tmp_path / "snapshots" / "0001", [])
    with pytest.raises(UserError, match="every checkpoint is damaged"):
        find_checkpoint(tmp_path, "latest", training=True)


MANIFESTS = {
    "a list": "[]", "text": '"x"', "null": "null", "NaN": "NaN", "deep": "[" * 100_000,
    "labels": '{"labels": "latest", "files": {}}',
    "labels of numbers": '{"labels": [1], "files": {}}',
    "files": '{"labels": ["latest"], "files": ["net_G.pth"]}',
    "an entry": '{"labels": ["latest"], "files": {"net_G.pth": 3}}',
    "no digest": '{"labels": ["latest"], "files": {"net_G.pth": {"bytes": 3}}}',
    "another folder": '{"labels": [], "files": {"../x": {"bytes": 3, "sha256": "x"}}}',
    "progress": '{"labels": [], "files": {}, "progress": [1]}',
    "an epoch of text": '{"labels": [], "files": {}, "progress": {"epoch": "1"}}',
    "not UTF-8": b"\xff\xfe{}",
}  # fmt: skip


@pytest.mark.parametrize("kind", MANIFESTS)
def test_a_manifest_of_unexpected_form_is_told_and_the_one_before_taken(tmp_path, capsys, kind):
    """Fault 102: JSON that nobody wrote."""
    for value in (1, 2):
        save(tmp_path, value)
    text, path = MANIFESTS[kind], tmp_path / "snapshots" / "0002" / "manifest.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert find_checkpoint(tmp_path, "latest").number == 1
    assert "0002/manifest.json: missing or unreadable; going back" in capsys.readouterr().err


@pytest.mark.parametrize(("change", "words"), [
    (lambda model: model.pop("optimizers"), "KeyError: 'optimizers'"),
    (lambda model: model["optimizers"].pop(), "ValueError"),
    (lambda model: model["optimizers"].__setitem__(0, 3), "TypeError|AttributeError"),
    (lambda model: model["optimizers"][0]["state"][0].update(exp_avg=torch.ones(7)),
     "exp_avg is not of the shape of its weight"),
])  # fmt: skip
def test_a_state_that_does_not_fit_the_training_is_one_line(run, capsys, change, words):
    """Fault 102: missing keys and wrong types deeper inside."""
    newest = list_checkpoints(run)[0].folder
    state = load_file(newest / "state.pth")
    change(state["model"])
    rewrite(newest, state)
    run_train("--name", "p", "--continue_train", "--n_epochs", 3, *CPU, expect=2)
    error = capsys.readouterr().err
    assert "Traceback" not in error and "0002: its training state does not fit" in error
    assert any(word in error for word in words.split("|"))


def test_stray_files_change_nothing(run, trained, capsys):
    """Fault 102: copies that sync tools make, hidden files, folders in the place of files."""
    weights = (run / "latest_net_G.pth").read_bytes()
    snapshot = run / "snapshots" / "0002"
    for name in ("latest_net_G (1).pth", "latest_net_G.sync-conflict-20240101-120000-ABC.pth",
                 "._latest_net_G.pth", "latest_net_G.pth~", ".nfs0000000012", "Thumbs.db",
                 "7_net_G.pth.part", "._8_net_G.pth"):  # fmt: skip
        for folder in (run, snapshot):
            (folder / name).write_bytes(weights[:100])
    for folder in ("9_net_G.pth", "latest_net_E.pth", "web/data/x"):
        (run / folder).mkdir()
    shutil.copytree(snapshot, run / "snapshots" / "0002 (1)")
    shutil.copytree(snapshot, run / "snapshots" / "0002.sync-conflict-20240101-120000-ABC")
    for name in ("0005", ".DS_Store", ".0007.part"):
        (run / "snapshots" / name).write_bytes(b"x")
    assert saved_epochs(run, "G") == ["1", "2", "latest"]
    assert {label for label, _ in published(run)} == {"1", "2", "latest"}
    run_test("--dataroot", trained / "pairs", "--name", "p", *CPU)
    run_test("--dataroot", trained / "pairs", "--name", "p", "--epoch", 8, *CPU, expect=2)
    assert capsys.readouterr().err.splitlines()[-1].endswith("--epoch accepts here: 1, 2, latest")
    (run / "latest_net_G.pth").unlink()
    (run / "latest_net_G.pth").mkdir()  # a folder where the training publishes its weights
    run_train("--name", "p", "--continue_train", "--n_epochs", 3, *CPU)
    text = capsys.readouterr()
    assert "going on with epoch 3 of 3" in text.out
    assert "latest_net_G.pth: a folder in the place of the weights" in text.err
    assert list_checkpoints(run)[0].number == 6


def test_only_stray_files_are_nothing_to_go_on_from(trained, tmp_path, capsys):
    """Fault 102: `--resume auto` begins anew, as in an empty folder."""
    run = tmp_path / "checkpoints" / "p"
    run.mkdir(parents=True)
    for name in ("._latest_net_G.pth", "latest_net_G (1).pth"):
        (run / name).write_bytes(b"x")
    run_train("--dataroot", trained / "pairs", *PIX2PIX, "--n_epochs", 1, "--name", "p",
              "--resume", "auto")  # fmt: skip
    assert "nothing to go on from yet" in capsys.readouterr().err

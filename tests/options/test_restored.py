"""A run's options outlive their file: each checkpoint holds them too."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from options.saved import options_of
from tests.helpers import TINY, make_aligned, script
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.checkpoints.checkpoint import list_checkpoints

PIX2PIX = ["--model", "pix2pix", "--netG", "resnet_6blocks", *TINY, "--n_epochs", 1,
           "--n_epochs_decay", 0]  # fmt: skip
CPU = ["--gpu_ids", -1]
DAMAGES = {
    "emptied": lambda file: file.write_text(""),
    "lost": lambda file: file.unlink(),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "zeroes": lambda file: file.write_bytes(bytes(100)),
    "no YAML": lambda file: file.write_text("netG: [resnet"),
    "a list": lambda file: file.write_text("- netG\n"),
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:200]),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    data = make_aligned(folder / "pairs", 1)
    run_train("--dataroot", data, *PIX2PIX, "--name", "p", "--checkpoints_dir", folder)
    return folder / "p"


@pytest.fixture
def run(trained, tmp_path):
    return Path(shutil.copytree(trained, tmp_path / "checkpoints" / "p"))


@pytest.mark.parametrize("damage", DAMAGES)
def test_options_are_taken_from_the_checkpoint_and_that_is_said(run, capsys, damage):
    """Fault 91: train_opt.yaml emptied or lost: never silently the defaults."""
    before = options_of(run)
    DAMAGES[damage](run / "train_opt.yaml")
    assert options_of(run) == before
    warned = capsys.readouterr().err
    assert re.fullmatch(r"warning: .*train_opt.yaml: .*taken from \S+0001\n", warned)


def test_resume_and_test_go_on_with_them(run, trained, capsys):
    """Fault 91: in every command that reads them; a resumed run writes its file anew."""
    (run / "train_opt.yaml").write_text("")
    run_test("--dataroot", trained.parent / "pairs", "--name", "p", *CPU)
    assert "empty; the run's options are taken from" in capsys.readouterr().err
    run_train("--name", "p", "--continue_train", "--n_epochs", 2, *CPU)
    text = capsys.readouterr()
    assert "going on with epoch 2 of 2" in text.out and "taken from" in text.err
    assert yaml.safe_load((run / "train_opt.yaml").read_text())["netG"] == "resnet_6blocks"
    (run / "train_opt.yaml").unlink()
    capsys.readouterr()
    assert script("scripts/rerun.py").main([str(run), "--dry_run", *map(str, CPU)]) == 2
    text = capsys.readouterr()  # a dry run leaves nothing to compare with
    assert "nothing was written" in text.out and "p_again: no checkpoint" in text.err


def test_a_run_of_the_version_before_is_refused(run, capsys):
    """Fault 91: its checkpoints hold no options, and the defaults would be another network."""
    manifest = list_checkpoints(run)[0].folder / "manifest.json"
    manifest.write_text(json.dumps({k: v for k, v in json.loads(manifest.read_text()).items()
                                    if k != "options"}))  # fmt: skip
    for damage in ("emptied", "lost"):
        if (run / "train_opt.yaml").exists():
            DAMAGES[damage](run / "train_opt.yaml")
        run_train("--name", "p", "--continue_train", *CPU, expect=2)
        error = capsys.readouterr().err.splitlines()[-1]
        assert "train_opt.yaml: " in error and "no checkpoint of the run holds" in error

"""What is told before anything is done: in a notebook, and by --dry_run."""

import sys

import pytest

import test as test_script
import train as train_script
from models.schedulers import LR_POLICIES, describe_schedule
from options.train_options import TrainOptions
from tests.helpers import TINY, make_aligned, script
from tests.helpers import train as run_train
from util import trackers
from util.errors import UserError

KERNELS = [
    ["-f", "/root/.local/share/jupyter/runtime/kernel-123.json"],
    ["--f=/run/user/1000/jupyter/runtime/kernel-v3f0a.json"],
    ["-f=C:\\Users\\me\\kernel-1.json"],
]


@pytest.mark.parametrize("words", KERNELS)
def test_a_notebooks_own_arguments_are_told(capsys, monkeypatch, words):
    """User report 23: main() in a notebook gets the kernel's -f."""
    monkeypatch.setattr(sys, "argv", ["ipykernel_launcher.py", *words])
    for main in (train_script.main, test_script.main, script("scripts/compare.py").main):
        assert main() == 2
        error = capsys.readouterr().err
        assert "those of the notebook's kernel" in error and "main([" in error
        assert error.count("\n") == 1
    with pytest.raises(UserError, match="notebook's kernel"):
        TrainOptions().parse()


@pytest.mark.parametrize("policy", LR_POLICIES)
def test_a_long_schedule_is_told_in_one_line(policy):
    """User report 23: not 101 learning rates."""
    text = describe_schedule(2e-4, policy, 100, 100, 10, epoch_count=1)
    assert "\n" not in text and policy in text and "0.0002" in text
    if policy != "plateau":
        assert "in epoch 200" in text


@pytest.fixture
def flags(tmp_path) -> list:
    """Of a tiny training."""
    data = make_aligned(tmp_path / "D", 2)
    return ["--dataroot", data, "--name", "n", "--model", "pix2pix", "--netG", "resnet_6blocks",
            "--n_epochs", 1, "--n_epochs_decay", 0, "--no_html", *TINY]  # fmt: skip


@pytest.mark.parametrize("name", trackers.registry.names())
@pytest.mark.parametrize("folder", [False, True])
def test_a_dry_run_says_that_a_trackers_package_is_missing(
    tmp_path, capsys, monkeypatch, flags, name, folder
):
    """User report 23: and what to install; a folder of the name is no package."""
    kind = trackers.registry.find(name)
    monkeypatch.setattr(kind, "package", "no_such_package")
    monkeypatch.syspath_prepend(tmp_path)
    if folder:
        (tmp_path / "no_such_package").mkdir()
    (told,) = trackers.missing_packages(
        vars(TrainOptions().parse(["--dataroot", ".", "--track", name]))
    )
    assert f"--track {name}: the package no_such_package is not installed" in told
    assert f"to install it: {kind.install}" in told
    if not folder and name == "wandb":
        run_train(*flags, "--dry_run", "--use_wandb")
        assert told in capsys.readouterr().err


def test_a_dry_run_of_a_finished_run_says_that_nothing_is_left(capsys, flags):
    """User report 23: it is complete."""
    run_train(*flags)
    capsys.readouterr()
    run_train(*flags, "--continue_train", "--dry_run")
    out = capsys.readouterr().out
    assert "already complete (epoch 1 of 1); raise --n_epochs to go on" in out
    assert "learning rate" not in out

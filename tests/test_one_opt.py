"""After parsing nobody of ours writes `opt`; other people's scripts may."""

import argparse
import copy

import pytest

import models
from options.base_options import BaseOptions
from options.train_options import TrainOptions
from tests.helpers import TINY, make_data, make_single, needed_flags
from tests.helpers import test as run_test
from tests.helpers import train as run_train

TRAINABLE = [name for name in models.registry.names() if name != "test"]
EPOCHS = ["--n_epochs_decay", 0, "--max_dataset_size", 2, "--no_html"]


class Recorded(argparse.Namespace):
    """Notes the names that are written to it."""

    def __setattr__(self, name, value):
        written.append(name)
        super().__setattr__(name, value)

    def __delattr__(self, name):
        written.append(name)
        super().__delattr__(name)


written: list[str] = []


@pytest.fixture
def parsed(monkeypatch):
    """(opt, a copy of what it was) of each parsing; `written` is empty at first."""
    found, parse = [], BaseOptions.parse

    def recording(self, argv=None):
        opt = parse(self, argv)
        assert type(opt) is argparse.Namespace
        opt.__class__ = Recorded
        found.append((opt, copy.deepcopy(vars(opt))))
        return opt

    monkeypatch.setattr(BaseOptions, "parse", recording)
    written.clear()
    return found


def unwritten(parsed: list) -> bool:
    """Whether all is as it was parsed, inside lists and dicts too."""
    return not written and all(vars(opt) == before for opt, before in parsed)


@pytest.mark.parametrize("model", TRAINABLE)
def test_training_and_testing_write_nothing_to_opt(tmp_path, parsed, model):
    more = needed_flags(model, tmp_path / "more")
    mode = {"style": "single", "neural_style": "content"}.get(model, "")
    data = make_data(tmp_path / "data", mode)
    if mode:
        make_single(data, 2)
    flags = ["--dataroot", data, "--model", model, "--name", model, *TINY, *more, *EPOCHS]
    run_train(*flags, "--n_epochs", 1, "--dry_run")
    run_train(*flags, "--n_epochs", 1, "--num_threads", "auto")
    goes_on = ["--name", model, "--continue_train", "--n_epochs", 2, "--gpu_ids", -1]
    run_train(*goes_on, "--dry_run")
    run_train(*goes_on)
    assert len(parsed) == 4 and unwritten(parsed)
    if model == "neural_style":
        return
    run_test("--dataroot", data, "--name", model, "--gpu_ids", -1)
    if model not in ("style", "colorization"):
        folder = make_single(tmp_path / "photos", 1)
        run_test("--dataroot", folder, "--name", model, "--gpu_ids", -1, "--model", "test",
                 "--direction", "AtoB")  # fmt: skip
    assert unwritten(parsed)


def test_the_records_find_writes(parsed):
    """Both kinds: to an attribute, and past it."""
    one = TrainOptions().parse(["--dataroot", "."])
    assert unwritten(parsed)
    vars(one)["seed"] = -1
    assert not unwritten(parsed)
    vars(one)["seed"] = parsed[0][1]["seed"]
    one.num_threads = 0  # as the original's test loop does, which stays possible
    assert written == ["num_threads"] and not unwritten(parsed)

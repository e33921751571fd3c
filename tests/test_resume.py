"""A run that was interrupted and goes on equals one that was not, bit for bit."""

import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from models.pix2pix_model import Pix2PixModel
from options.train_options import TrainOptions
from tests.helpers import (
    ROOT,
    TINY,
    copy_of_a_run,
    make_aligned,
    make_data,
    metrics,
    needed_flags,
    page_rows,
    timeless,
)
from tests.helpers import train as run_train
from tests.processes import Process, eventually, start
from util import atomic
from util.checkpoints.checkpoint import find_checkpoint, list_checkpoints, save_checkpoint
from util.checkpoints.weights import load_file
from util.errors import UserError
from util.training.run_folder import run_lock

CPU = ["--gpu_ids", "-1"]
PIX2PIX = ["--model", "pix2pix", "--netG", "resnet_6blocks", *TINY, "--print_freq", "1"]


def epochs(constant: int, decay: int = 0) -> list[str]:
    return ["--n_epochs", str(constant), "--n_epochs_decay", str(decay)]


def same_tensors(a, b) -> bool:
    """Whether two nested structures hold the same values, tensors bit by bit."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_tensors(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same_tensors, a, b))
    return a == b


def assert_same(straight: Path, resumed: Path) -> None:
    """Logs, weights, optimizers, pools and random states."""
    assert timeless(straight) == timeless(resumed)
    a, b = (list_checkpoints(run)[0] for run in (straight, resumed))
    assert a.files.keys() == b.files.keys()
    for name in a.files:
        left, right = (load_file(unit.folder / name) for unit in (a, b))
        if name == "state.pth":  # the clock decides how long a log line is
            left["view"], right["view"] = left["view"]["row"], right["view"]["row"]
        assert same_tensors(left, right), name
    rows = [[row[:3] for row in page_rows(run)] for run in (straight, resumed)]
    assert rows[0] and rows[0] == rows[1]


def stop_at(monkeypatch, step: int) -> None:
    """Ctrl-C in a step of the training in this process."""
    taken, real = [], Pix2PixModel.set_input

    def set_input(self, batch):
        real(self, batch)
        taken.extend([1] * torch.is_grad_enabled())  # the page's own sample is no step
        if len(taken) == step + 1:  # the first call looks at what will come
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Pix2PixModel, "set_input", set_input)


def five_pairs(folder: Path) -> Path:
    return make_aligned(folder, 5)


@pytest.fixture
def pairs(tmp_path):
    return ["--dataroot", five_pairs(tmp_path / "pairs")]


@pytest.mark.parametrize(("model", "images_seen"), [
    ("pix2pix", 3), ("cycle_gan", 3), ("colorization", 3), ("template", 3), ("style", 3),
    ("cut", 3), ("fastcut", 3),
    ("neural_style", 2), ("neural_style", 3), ("neural_style", 4),  # next size, within, next image
])  # fmt: skip
def test_every_model_goes_on_from_mid_epoch(tmp_path, model, images_seen):
    """Half of a run, continued from the middle of an epoch, without repeating a flag."""
    data = make_data(tmp_path / "data", "all")
    flags = ["--dataroot", data, "--model", model, *TINY, *needed_flags(model, tmp_path / "more"),
             "--print_freq", 1, "--pool_size", 3]  # fmt: skip
    images = 2 if model == "neural_style" else 5
    flags += ["--max_dataset_size", images, *epochs(2)]
    run_train(*flags, "--name", "straight")
    run_train(*flags, "--name", "resumed", "--save_by_iter", "--save_latest_freq", images_seen,
              "--save_state", "all")  # fmt: skip
    run = tmp_path / "checkpoints" / "resumed"
    run_train("--name", "resumed", "--continue_train", "--load_iter", images_seen, *CPU,
              "--save_latest_freq", 5000)  # fmt: skip
    assert_same(tmp_path / "checkpoints" / "straight", run)


@pytest.mark.parametrize("more", [
    ["--num_threads", 4, "--lr_policy", "cosine"],
    ["--num_threads", 1, "--lr_policy", "step", "--lr_decay_iters", 1],
    ["--lr_policy", "plateau"],
    ["--batch_size", 2, "--gan_mode", "wgangp", "--norm", "batch", "--save_every_minutes", 0],
])  # fmt: skip
def test_workers_schedules_and_batches_go_on_from_mid_epoch(tmp_path, pairs, monkeypatch, more):
    flags = [*pairs, *PIX2PIX, *more, *epochs(2, 2)]
    run_train(*flags, "--name", "straight")
    stop_at(monkeypatch, step=4)
    run_train(*flags, "--name", "resumed", expect=130)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    run_train("--name", "resumed", "--resume", *CPU)
    assert_same(tmp_path / "checkpoints" / "straight", tmp_path / "checkpoints" / "resumed")


def test_ctrl_c_finishes_the_step_saves_and_tells_the_command(tmp_path, pairs, monkeypatch, capsys):
    stop_at(monkeypatch, step=7)
    run_train(*pairs, *PIX2PIX, *epochs(3), "--name", "p", expect=130)
    text = capsys.readouterr()
    assert "stopped in epoch 2 after 7 images, saved; go on with:\npython train.py --name p " \
        "--continue_train --device cpu\n" in text.out  # fmt: skip
    assert "SIGINT: finishing the step" not in text.out and "Traceback" not in text.err
    assert [m["images"] for m in metrics(tmp_path / "checkpoints" / "p")] == list(range(1, 8))


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 143), ("SIGINT", 130)])
def test_signals_to_the_whole_group_end_cleanly_with_workers(tmp_path, pairs, name, code):
    process = start(tmp_path, *pairs, *PIX2PIX, "--name", "p", "--num_threads", 2, *epochs(1000))
    process.wait_for("(epoch: 2")
    os.killpg(process.pid, getattr(signal, name))  # workers get it too
    out, err = process.communicate()
    assert process.returncode == code, err[-2000:]
    assert "saved; go on with" in out and "Traceback" not in err
    assert eventually(lambda: not process.group_lives())
    assert not list((tmp_path / "checkpoints").glob(".*.lock"))
    run_train("--name", "p", "--continue_train", *epochs(1), *CPU)  # complete, or goes on


def test_a_checkpoint_is_due_after_so_many_minutes(tmp_path, pairs):
    run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "p", "--save_every_minutes", 1e-6,
              "--keep_last", 10)  # fmt: skip
    images = [unit.manifest["progress"]["images"]
              for unit in list_checkpoints(tmp_path / "checkpoints" / "p")]  # fmt: skip
    assert images == [5, 4, 3, 2, 1]


def test_sigusr1_saves_and_goes_on_or_stops_with_requeue(tmp_path, pairs, monkeypatch):
    real = Pix2PixModel.optimize_parameters

    def warned(self):
        real(self)
        os.kill(os.getpid(), signal.SIGUSR1)

    monkeypatch.setattr(Pix2PixModel, "optimize_parameters", warned)
    run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "a")
    assert [u.manifest["progress"]["images"] for u in
            list_checkpoints(tmp_path / "checkpoints" / "a")] == [5, 4]  # fmt: skip
    run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "b", "--requeue", expect=143)
    assert len(metrics(tmp_path / "checkpoints" / "b")) == 1


def test_a_run_folder_that_is_moved_away_meanwhile_is_one_line(
    tmp_path, finished, monkeypatch, capsys
):
    """What it held goes on from where it is then."""
    real = Pix2PixModel.optimize_parameters

    def moving(self):
        real(self)
        if finished.exists():
            finished.rename(tmp_path / "checkpoints" / "moved")

    monkeypatch.setattr(Pix2PixModel, "optimize_parameters", moving)
    run_train("--name", "p", "--continue_train", *epochs(3), *CPU, expect=1)
    *_, error = capsys.readouterr().err.splitlines()
    assert error.startswith("error: checkpoints/p: not there any more, moved or deleted")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    run_train("--name", "moved", "--continue_train", *epochs(3), *CPU)
    assert [m["images"] for m in metrics(tmp_path / "checkpoints" / "moved")][-1] == 15


LONG_STEP = """
import time
from models.pix2pix_model import Pix2PixModel

def optimize_parameters(self):
    print("in the step", flush=True)
    while True:
        time.sleep(0.01)

Pix2PixModel.optimize_parameters = optimize_parameters
"""


def test_a_second_signal_ends_at_once(tmp_path, pairs):
    process = start(tmp_path, *pairs, *PIX2PIX, "--name", "p", before=LONG_STEP)
    process.wait_for("in the step")
    process.send_signal(signal.SIGTERM)
    process.wait_for("finishing the step, then saving; once more to stop at once")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate()
    assert process.returncode == 143
    assert "saved" not in out


def test_a_signal_before_the_first_step_leaves_no_folder(tmp_path, pairs, monkeypatch):
    real = Pix2PixModel.__init__

    def init(self, opt):
        os.kill(os.getpid(), signal.SIGTERM)
        real(self, opt)

    monkeypatch.setattr(Pix2PixModel, "__init__", init)
    run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "p", expect=143)
    assert not (tmp_path / "checkpoints").exists()


def kill_and_resume(tmp_path: Path, flags: list, kills: list[float], name: str) -> None:
    """Kill a run at moments (s after its last start's first step), then let it finish."""
    run_train(*flags, "--name", "straight")
    again: list = [*flags, "--name", name]
    for moment in kills:
        process = start(tmp_path, *again, "--resume", "auto")
        process.wait_for("(epoch: ")
        time.sleep(moment)
        process.kill_all()
    run_train("--name", name, "--resume", "auto", *CPU)
    assert_same(tmp_path / "checkpoints" / "straight", tmp_path / "checkpoints" / name)


def test_kills_at_random_moments_change_nothing(tmp_path):
    """Saving after every second step with larger networks, so that kills fall into it."""
    flags = ["--dataroot", make_aligned(tmp_path / "pairs", 9), *PIX2PIX, "--ngf", "24",
             "--save_latest_freq", "2", "--num_threads", "1", *epochs(3)]  # fmt: skip
    kill_and_resume(tmp_path, flags, [0.01, 0.23, 0.11], "killed")


@pytest.mark.slow
def test_fifty_kills_change_nothing(tmp_path):
    generator = torch.Generator().manual_seed(0)
    kills = (0.4 * torch.rand(50, generator=generator)).tolist()
    flags = ["--dataroot", make_data(tmp_path / "data", "all"), "--model", "cycle_gan", *TINY,
             "--netG", "resnet_6blocks", "--ngf", "24", "--pool_size", "3", "--print_freq", "1",
             "--save_latest_freq", "1", "--num_threads", "1", *epochs(60)]  # fmt: skip
    kill_and_resume(tmp_path, flags, kills, "killed")


class TestKillInsideSaving:
    """Every point between two file operations of a save."""

    def test_a_save_cut_off_anywhere_leaves_a_whole_checkpoint(self, tmp_path, monkeypatch):
        class Killed(BaseException):
            pass

        def save(value: float) -> None:
            nets = {name: {"w": torch.full((3,), value)} for name in ("G", "D")}
            state = {"progress": {"epoch": int(value)}}
            save_checkpoint(tmp_path / "run", nets, state, ["latest"], keep_last=2)

        save(1)
        calls = {"left": 0}

        def counted(real):
            def call(*args, **kwargs):
                if calls["left"] == 0:
                    raise Killed
                calls["left"] -= 1
                return real(*args, **kwargs)

            return call

        for module, names in ((os, ("replace", "link", "fsync", "open")),
                              (shutil, ("rmtree",)), (atomic, ("write",))):  # fmt: skip
            for name in names:
                monkeypatch.setattr(module, name, counted(getattr(module, name)))
        for allowed in range(60):
            calls["left"] = allowed
            try:
                save(2 + allowed)
                finished = True
            except Killed:
                finished = False
            calls["left"] = 10**9
            unit = find_checkpoint(tmp_path / "run", "latest")
            values = {float(load_file(unit.folder / f"net_{n}.pth")["w"][0]) for n in "GD"}
            epoch = unit.state()["progress"]["epoch"]
            assert values == {float(epoch)}
        assert finished and epoch == 61


@pytest.fixture
def finished(tmp_path):
    """A run of two epochs with three checkpoints' worth of history."""
    copy_of_a_run("pairs", five_pairs, *PIX2PIX, *epochs(2), "--name", "p", "--save_epoch_freq", 1)
    return tmp_path / "checkpoints" / "p"


DAMAGES = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "text": lambda path: path.write_text("<html>not found</html>"),
    "missing": lambda path: path.unlink(),
    "flipped": lambda path: path.write_bytes(
        path.read_bytes()[:500] + bytes([path.read_bytes()[500] ^ 1]) + path.read_bytes()[501:]
    ),
}


@pytest.mark.parametrize("file", ["net_G.pth", "state.pth", "manifest.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_taken(finished, capsys, damage, file):
    newest = list_checkpoints(finished)[0].folder / file
    if (damage, file) == ("flipped", "manifest.json"):
        pytest.skip("a manifest has no digest of its own")
    DAMAGES[damage](newest)
    run_train("--name", "p", "--continue_train", *epochs(3), *CPU)
    text = capsys.readouterr()
    assert re.search(rf"warning: .*0002/{file}: .*; going back to the checkpoint before", text.err)
    assert "going on with epoch 2 of 3, after 5 images" in text.out
    if file != "manifest.json":
        DAMAGES["missing"](list_checkpoints(finished)[-1].folder / "net_D.pth")


def test_a_damaged_epoch_asked_for_by_name_is_one_line(finished, capsys):
    DAMAGES["flipped"](finished / "snapshots" / "0002" / "net_D.pth")
    run_train("--name", "p", "--continue_train", "--epoch", 2, *epochs(3), *CPU, expect=2)
    error = capsys.readouterr().err
    assert "0002/net_D.pth: not the bytes that were saved; --epoch 2 is damaged" in error
    assert "--epoch accepts here: 1" in error


def test_files_of_two_epochs_mixed_by_hand_are_found_out(finished, capsys):
    (finished / "latest_net_G.pth").unlink()
    shutil.copy(finished / "1_net_G.pth", finished / "latest_net_G.pth")
    run_train("--name", "p", "--continue_train", *epochs(3), *CPU)
    assert "latest_net_G.pth: not the file that was saved with the others" in (
        capsys.readouterr().err
    )


def test_writing_onto_published_weights_does_not_reach_the_checkpoint(finished):
    """`cp other.pth latest_net_G.pth` writes into the file that is there, as root at any rate."""
    whole = (finished / "snapshots" / "0002" / "net_G.pth").read_bytes()
    with open(finished / "latest_net_G.pth", "r+b") as file:
        file.write(b"other weights")
    assert (finished / "snapshots" / "0002" / "net_G.pth").read_bytes() == whole
    assert not list_checkpoints(finished)[0].damage()


def test_only_the_last_checkpoints_and_the_milestones_are_kept(tmp_path, pairs, capsys):
    run_train(*pairs, *PIX2PIX, *epochs(4), "--name", "p", "--save_latest_freq", 1,
              "--save_epoch_freq", 2, "--keep_last", 3)  # fmt: skip
    run = tmp_path / "checkpoints" / "p"
    labels = [unit.labels for unit in list_checkpoints(run)]
    assert labels == [["latest", "4"], ["latest"], ["latest"], ["latest", "2"]]
    assert {f.name for f in run.glob("*_net_G.pth")} == {
        "latest_net_G.pth", "2_net_G.pth", "4_net_G.pth"}  # fmt: skip
    run_train(*pairs, *PIX2PIX, "--keep_last", 1, "--name", "q", expect=2)
    assert "--keep_last 1: accepted: a whole number from 2 up" in capsys.readouterr().err


class TestFailingDisks:
    """A checkpoint that cannot be written."""

    @pytest.fixture
    def failing(self, monkeypatch):
        """A disk that takes no checkpoint from the n-th on."""
        saves, real = [], atomic.write
        plan = {"from": 2, "to": 10**9}

        def write(path, content, **how):
            if path.name == "net_G.pth":
                saves.append(path)
            if "snapshots" in path.parts and plan["from"] <= len(saves) < plan["to"]:
                path.write_bytes(content[:100])
                raise OSError(28, "No space left on device")
            real(path, content, **how)

        monkeypatch.setattr(atomic, "write", write)
        return plan

    def test_a_full_disk_ends_in_one_line_with_the_old_checkpoint_whole(
        self, tmp_path, pairs, failing, capsys
    ):
        run_train(*pairs, *PIX2PIX, *epochs(2), "--name", "p", "--save_latest_freq", 2, expect=1)
        error = capsys.readouterr().err.splitlines()
        assert re.fullmatch(
            r"error: .*0002: checkpoint not saved \(No space left on device\): needs [\d.]+ MB, "
            r"[\d.]+ MB free; the checkpoints before it are whole",
            error[-1],
        )
        assert "trying once more" in error[-2]
        run = tmp_path / "checkpoints" / "p"
        assert [f.name for f in (run / "snapshots").iterdir()] == ["0001"]
        assert not list_checkpoints(run)[0].damage()

    def test_a_save_that_fails_once_is_tried_again(self, tmp_path, pairs, failing, capsys):
        failing["to"] = 3
        run_train(*pairs, *PIX2PIX, *epochs(2), "--name", "p", "--save_latest_freq", 4)
        assert "trying once more" in capsys.readouterr().err
        images = [unit.manifest["progress"]["images"]
                  for unit in list_checkpoints(tmp_path / "checkpoints" / "p")]  # fmt: skip
        assert images == [10, 8]


def test_a_log_that_cannot_be_written_is_one_line(tmp_path, pairs, monkeypatch, capsys):
    from util.training.visualizer import Visualizer

    def full(*args):
        raise OSError(28, "No space left on device", "loss_log.txt")

    monkeypatch.setattr(Visualizer, "log_losses", full)
    run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "p", expect=1)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "error: loss_log.txt: cannot be written (No space left on device)"


def test_a_file_size_limit_ends_in_one_line(tmp_path, pairs):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    process = start(tmp_path, *pairs, *PIX2PIX, *epochs(1), "--name", "p", before=limit)
    assert process.wait() == 1, process.err
    assert "checkpoint not saved (File too large): needs" in process.err.splitlines()[-1]
    assert not list((tmp_path / "checkpoints" / "p" / "snapshots").iterdir())


def test_a_second_run_of_the_name_is_refused_while_the_first_lives(tmp_path, pairs, capsys):
    process = start(tmp_path, *pairs, *PIX2PIX, "--name", "p", *epochs(1000))
    try:
        process.wait_for("(epoch: 1")
        for more in ([], ["--continue_train"]):
            run_train(*pairs, *PIX2PIX, "--name", "p", *more, expect=2)
            error = capsys.readouterr().err
            assert f"error: --name p: in use by process {process.pid} on " in error
    finally:
        process.kill_all()
    run_train(*pairs, *PIX2PIX, "--name", "p", *epochs(1))
    assert f"process {process.pid} is gone; taking over" in capsys.readouterr().err


def test_an_earlier_run_of_the_name_is_kept_or_overwritten(tmp_path, finished, pairs, capsys):
    for number in (1, 2):
        run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "p")
        assert f"the earlier run is kept as checkpoints/p.{number}" in capsys.readouterr().out
    assert len(metrics(tmp_path / "checkpoints" / "p.1")) == 10
    assert len(metrics(tmp_path / "checkpoints" / "p")) == 5
    run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "p", "--overwrite")
    assert sorted(f.name for f in (tmp_path / "checkpoints").iterdir()) == ["p", "p.1", "p.2"]


def test_changed_options_are_listed_and_refused(finished, pairs, capsys):
    changed = ["--lr", 0.1, "--direction", "BtoA", "--netG", "unet_128", "--batch_size", 2]
    run_train("--name", "p", "--continue_train", *changed, *CPU, expect=2)
    error = capsys.readouterr().err
    assert "--batch_size 1 -> 2, --direction AtoB -> BtoA, --lr 0.0002 -> 0.1, --netG resnet_6" in (
        error
    )
    assert "--allow_changed" in error and "--init_from" in error
    make_aligned(Path(pairs[1]), 6)
    run_train("--name", "p", "--continue_train", *epochs(3), *CPU, expect=2)
    assert "the data has changed, 5 -> 6 images an epoch" in capsys.readouterr().err
    run_train("--name", "p", "--continue_train", *epochs(3), *CPU, "--lr", 0.1, "--allow_changed")
    assert metrics(finished)[-1]["lr"] == 0.1


def test_more_epochs_than_planned_are_said(finished, capsys):
    run_train("--name", "p", "--continue_train", *CPU)
    assert "already complete (epoch 2 of 2); raise --n_epochs" in capsys.readouterr().out
    run_train("--name", "p", "--continue_train", *epochs(2, 2), *CPU)
    assert "n_epochs_decay 0 -> 2: the schedule is computed anew" in capsys.readouterr().err
    assert [m["lr"] for m in metrics(finished)[10::5]] == pytest.approx([2e-4 * 2 / 3, 2e-4 / 3])


def test_resume_auto_begins_anew_where_there_is_nothing(tmp_path, pairs, capsys):
    flags = [*pairs, *PIX2PIX, *epochs(1), "--name", "p", "--resume", "auto"]
    run_train(*flags)
    assert "nothing to go on from yet; beginning anew" in capsys.readouterr().err
    run_train(*flags)
    assert "already complete" in capsys.readouterr().out


def test_a_run_of_the_reference_implementation_goes_on_from_its_weights(
    tmp_path, finished, pairs, capsys
):
    foreign = tmp_path / "checkpoints" / "foreign"
    foreign.mkdir()
    for file in finished.glob("latest_net_*"):
        shutil.copy(file, foreign)
    run_train(*pairs, *PIX2PIX, "--name", "foreign", *epochs(6), "--continue_train",
              "--epoch_count", 6)  # fmt: skip
    error = capsys.readouterr().err
    assert "weights only, no training state; optimizers, image pools and random numbers" in error
    assert {m["epoch"] for m in metrics(foreign)} == {6}


class TestInitFrom:
    """Weights of another run, as far as they match."""

    def test_another_channel_count_and_a_generator_alone(self, tmp_path, finished, pairs, capsys):
        (tmp_path / "elsewhere").mkdir()
        shutil.copy(finished / "latest_net_G.pth", tmp_path / "elsewhere")
        run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "q", "--init_from", "elsewhere",
                  "--input_nc", 1, "--init_partial")  # fmt: skip
        text = capsys.readouterr().out
        assert re.search(r"network G: \d+ matched, 0 missing, 1 mismatched .*model.1.weight", text)
        assert "network D: drawn anew" in text

    def test_a_file_goes_to_the_network_that_it_fits(self, tmp_path, finished, pairs, capsys):
        shutil.copy(finished / "latest_net_D.pth", tmp_path / "some.pth")
        run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "q", "--init_from", "some.pth")
        text = capsys.readouterr().out
        assert re.search(r"network D: \d+ matched, 0 missing, 0 mismatched", text)
        assert "network G: drawn anew" in text

    @pytest.mark.parametrize(("source", "words"), [
        ("nowhere", "--init_from nowhere: no such file or folder"),
        (".", "no latest_net_<X>.pth for G, D there"),
        ("other.pth", "nothing in it matches"),
    ])  # fmt: skip
    def test_what_does_not_fit_is_one_line(self, tmp_path, pairs, capsys, source, words):
        torch.save({"w": torch.zeros(3)}, tmp_path / "other.pth")
        run_train(*pairs, *PIX2PIX, "--name", "q", "--init_from", source, expect=2)
        assert words in capsys.readouterr().err
        assert not (tmp_path / "checkpoints").exists()


def test_scalers_and_averaged_weights_of_plugins_are_part_of_the_state(tmp_path):
    from torch.optim.swa_utils import AveragedModel

    argv = ["--dataroot", ".", "--model", "pix2pix", "--netG", "resnet_6blocks", *TINY]
    models = []
    for scale in (8.0, 4.0):
        model = Pix2PixModel(TrainOptions().parse(argv))
        model.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        model.scaler.scale(torch.ones(()))
        model.ema = AveragedModel(model.netG)
        models.append(model)
    models[1].load_local_state(models[0].local_state())
    assert models[1].scaler.get_scale() == 8.0
    assert same_tensors(models[0].ema.state_dict(), models[1].ema.state_dict())


def test_a_file_in_the_place_of_the_folder_is_one_line_before_a_model_is_built(
    tmp_path, pairs, capsys
):
    (tmp_path / "checkpoints").write_text("")
    run_train(*pairs, *PIX2PIX, "--name", "p", expect=2)
    text = capsys.readouterr()
    assert "error: checkpoints/p: cannot be written (File exists)" in text.err
    assert "network G" not in text.out


def test_a_lock_of_another_machine_is_believed_while_it_is_fresh(tmp_path, pairs, capsys):
    lock = tmp_path / "checkpoints" / ".p.lock"
    lock.parent.mkdir()
    lock.write_text('{"pid": 1, "host": "elsewhere", "started": "5"}')
    run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "p", expect=2)
    assert "in use by process 1 on elsewhere" in capsys.readouterr().err
    os.utime(lock, (time.time() - 1000,) * 2)
    run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "p")


def test_the_lock_of_an_earlier_version_is_believed_while_its_process_lives(
    tmp_path, pairs, capsys
):
    """It locked nothing, but wrote who it was, and touched its file."""
    lock = tmp_path / "checkpoints" / ".p.lock"
    lock.parent.mkdir()
    stat = Path("/proc/self/stat")
    if not stat.exists():
        pytest.skip("pids cannot be told apart here")
    began = stat.read_text().rsplit(")", 1)[1].split()[19]
    space = os.readlink("/proc/self/ns/pid")
    holder = {"host": socket.gethostname(), "space": space, "started": began}
    lock.write_text(json.dumps(holder | {"pid": os.getpid()}))
    written = lock.read_text()
    run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "p", expect=2)
    assert f"in use by process {os.getpid()} on " in capsys.readouterr().err
    assert lock.read_text() == written
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    of_another = {"pid": os.getpid(), "started": "5"}  # its pid was given anew, to this process
    for change in ({"pid": gone.pid}, of_another):
        lock.write_text(json.dumps(holder | change))
        run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "p")
        assert f"process {change['pid']} is gone; taking over" in capsys.readouterr().err
        assert not lock.exists()


def test_a_lock_is_held_however_long_nothing_is_written_into_it(tmp_path):
    file = tmp_path / ".p.lock"
    with run_lock(tmp_path / "p"):
        os.utime(file, (1, 1))
        with (
            pytest.raises(UserError, match=f"in use by process {os.getpid()} on "),
            run_lock(tmp_path / "p"),
        ):
            pass
    with run_lock(tmp_path / "p"):
        assert file.exists()


def test_a_killed_run_holds_no_lock_through_its_loader_processes(tmp_path, pairs, capsys):
    process = start(tmp_path, *pairs, *PIX2PIX, "--name", "p", "--num_threads", 2, *epochs(1000))
    process.wait_for("(epoch: 1")
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    children = workers.read_text().split() if workers.exists() else []
    for child in children:
        os.kill(int(child), signal.SIGSTOP)  # they would end by themselves, some time later
    try:
        process.send_signal(signal.SIGKILL)
        process.wait()
        run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "p")
        assert f"process {process.pid} is gone; taking over" in capsys.readouterr().err
    finally:
        process.kill_all()


def test_a_file_system_without_locks_is_told_and_used(tmp_path, pairs, monkeypatch, capsys):
    def flock(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "p")
    assert "no locks on this file system" in capsys.readouterr().err
    assert [f.name for f in (tmp_path / "checkpoints").iterdir()] == ["p"]


def test_a_run_begins_in_an_empty_folder_that_a_user_has_made_for_it(tmp_path, pairs, capsys):
    (tmp_path / "checkpoints" / "p").mkdir(parents=True)
    run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "p")
    assert [f.name for f in (tmp_path / "checkpoints").iterdir()] == ["p"]
    assert "the earlier run" not in capsys.readouterr().out


def test_an_empty_folder_of_the_user_stays(tmp_path, pairs):
    (tmp_path / "mine").mkdir()
    run_train(*pairs, *PIX2PIX, "--phase", "val", "--checkpoints_dir", "mine", expect=2)
    assert list((tmp_path / "mine").iterdir()) == []


def test_nohup_keeps_a_run_alive_and_a_dead_tee_does_not_cost_the_state(tmp_path, pairs):
    """The reader of the pipe that train.py writes to ends, and then the terminal."""
    nohup = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    read, write = os.pipe()
    process = Process(ROOT / "train.py", *pairs, *PIX2PIX, *epochs(1000), "--name", "p",
                      cwd=tmp_path, before=nohup, streams=(write, write))  # fmt: skip
    os.close(write)
    with open(read) as told:
        assert any(line.startswith("(epoch: 2") for line in told)
        process.send_signal(signal.SIGHUP)
        assert any(line.startswith("(epoch: 4") for line in told)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    unit = list_checkpoints(tmp_path / "checkpoints" / "p")[0]
    assert unit.manifest["progress"]["epoch"] >= 4
    assert len(metrics(tmp_path / "checkpoints" / "p")) == unit.manifest["progress"]["images"]


def test_going_back_to_an_older_epoch_begins_a_new_branch_at_once(tmp_path, finished, monkeypatch):
    """Logs are cut to that epoch, so it has to be the newest checkpoint from then on."""

    class Killed(BaseException):
        pass

    def optimize_parameters(self):
        raise Killed

    monkeypatch.setattr(Pix2PixModel, "optimize_parameters", optimize_parameters)
    with pytest.raises(Killed):
        run_train("--name", "p", "--continue_train", "--epoch", 1, *epochs(3), *CPU)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    run_train("--name", "p", "--continue_train", *epochs(3), *CPU)
    assert [m["images"] for m in metrics(finished)] == list(range(1, 16))


def test_a_page_cut_off_while_it_was_written_keeps_its_rows(tmp_path, finished):
    page = finished / "web" / "index.html"
    page.write_text(page.read_text()[:-5])
    run_train("--name", "p", "--continue_train", *epochs(3), *CPU)
    assert [row[0] for row in page_rows(finished)] == [1, 2, 3]
    assert page.read_text().endswith("</html>\n")


def test_a_run_that_began_from_other_weights_says_so_after_a_resume(tmp_path, finished, pairs):
    run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "q", "--init_from", finished)
    run_train("--name", "q", "--continue_train", *epochs(2), *CPU)
    assert f"init_from: {finished}" in (tmp_path / "checkpoints/q/train_opt.yaml").read_text()


def test_an_old_checkpoint_that_cannot_be_deleted_is_only_told(
    tmp_path, pairs, monkeypatch, capsys
):
    real = shutil.rmtree

    def rmtree(path, *args, **kwargs):
        if str(path).endswith(".part") and Path(path).exists():
            raise PermissionError(13, "Permission denied")
        real(path, *args, **kwargs)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "p", "--save_latest_freq", 2)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert "an old checkpoint could not be deleted (Permission denied)" in capsys.readouterr().err


def test_the_checkpoint_that_a_run_goes_on_from_is_not_deleted(tmp_path, finished):
    shutil.rmtree(finished / "snapshots" / "0002")
    run_train("--name", "p", "--continue_train", *epochs(4), *CPU, "--save_latest_freq", 1,
              "--save_epoch_freq", 100)  # fmt: skip
    numbers = [unit.number for unit in list_checkpoints(finished)]
    assert numbers[-1] == 1 and len(numbers) == 3


def test_the_checkpoint_that_a_run_goes_on_from_is_kept_though_no_label_protects_it(
    tmp_path, pairs
):
    """It is what a user comes back to if the session that went on from it goes wrong."""
    often = ["--save_latest_freq", 1, "--save_epoch_freq", 100]
    run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "p", *often)
    run = tmp_path / "checkpoints" / "p"
    begun = list_checkpoints(run)[0]
    run_train("--name", "p", "--continue_train", *epochs(2), *CPU, *often)
    units = {unit.number: unit for unit in list_checkpoints(run)}
    assert units.keys() == {begun.number, begun.number + 4, begun.number + 5}
    assert units[begun.number].labels == ["latest"] and not units[begun.number].damage()

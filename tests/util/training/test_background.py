"""What is written beside the training: in order, as it was when it was handed over, and told."""

import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from models import create_model
from models.pix2pix_model import Pix2PixModel
from options.train_options import TrainOptions
from tests.helpers import make_aligned, metrics, page_rows
from tests.helpers import train as run_train
from tests.test_resume import PIX2PIX, epochs, stop_at
from util.checkpoints.checkpoint import list_checkpoints, save_checkpoint
from util.checkpoints.weights import to_bytes
from util.errors import SaveError, UserError
from util.record import RunInfo
from util.signals import SignalHandler
from util.threads import MOST, BackgroundThread
from util.training.checkpointer import Checkpointer, Progress
from util.training.log import EpochMeans
from util.training.nan_guard import NanGuard
from util.training.session import save_plan

SAVE = "util.training.checkpointer.save_checkpoint"
FULL = OSError(28, "No space left on device", "x.png")


@pytest.fixture
def writer() -> Iterator[BackgroundThread]:
    writer = BackgroundThread()
    yield writer
    writer.pool.shutdown()


@pytest.fixture
def slow(monkeypatch) -> None:
    """A disk that takes longer for a file than a training for a step."""

    def slowly(value) -> bytes:
        time.sleep(0.1)
        return to_bytes(value)

    monkeypatch.setattr("util.checkpoints.checkpoint.to_bytes", slowly)


@pytest.fixture
def pairs(tmp_path) -> list:
    return ["--dataroot", make_aligned(tmp_path / "pairs", 5)]


class View:
    """Logs and pages that have nothing to say."""

    unit = "images"

    def __init__(self, writer: BackgroundThread) -> None:
        self.writer, self.means = writer, EpochMeans()

    def state_dict(self) -> dict:
        return {}


def make_checkpointer(writer: BackgroundThread) -> Checkpointer:
    """Of a small training that has taken a step."""
    opt = TrainOptions().parse(["--dataroot", ".", "--name", "p", *PIX2PIX, "--keep_last", "3"])
    model = create_model(opt)
    model.setup(opt)
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    model.set_input({"A": images, "B": -images, "A_paths": ["a"], "B_paths": ["b"]})
    model.optimize_parameters()
    run = RunInfo("p", Path("checkpoints/p"))
    parts = View(writer), NanGuard(model, "stop", run.folder), Progress(size=5), SignalHandler()
    return Checkpointer(model, *parts, save_plan(opt), run)


def saved(run: Path) -> list[int]:
    """Images seen at each checkpoint, oldest first."""
    units = list_checkpoints(run)
    assert not any(unit.damage() for unit in units)
    return [unit.manifest["progress"]["images"] for unit in reversed(units)]


def test_a_checkpoint_is_what_it_was_when_it_was_handed_over(tmp_path, writer):
    checkpointer, gate = make_checkpointer(writer), threading.Event()
    checkpointer.save(at_once=True)
    writer.put(gate.wait)
    checkpointer.save()
    random = torch.get_rng_state()
    for _ in range(2):
        checkpointer.model.optimize_parameters()
    second = threading.Thread(target=checkpointer.save)
    second.start()
    second.join(0.1)
    assert second.is_alive() and len(writer.jobs) == 2  # one copy of the weights is enough
    gate.set()
    second.join()
    writer.flush()
    last, beside, at_once = list_checkpoints(checkpointer.run.folder)
    assert beside.files == at_once.files  # names, sizes, digests
    assert {name for name in last.files if last.files[name] != beside.files[name]} == {
        "net_G.pth", "net_D.pth", "state.pth"}  # fmt: skip
    assert torch.equal(beside.state()["local"][0]["random"]["torch"], random)


def test_jobs_keep_their_order_and_wait_when_there_are_too_many(writer):
    gate, done = threading.Event(), []
    writer.put(gate.wait)
    giver = threading.Thread(target=lambda: [writer.put(done.append, i) for i in range(2 * MOST)])
    giver.start()
    giver.join(0.1)
    assert giver.is_alive() and len(writer.jobs) < MOST and not done
    gate.set()
    giver.join()
    writer.close()
    assert done == list(range(2 * MOST))


def test_an_error_is_told_once_and_the_jobs_after_it_are_done(writer):
    def fail() -> None:
        raise FULL

    done: list[int] = []
    writer.put(fail)
    writer.put(done.append, 1)
    with pytest.raises(OSError, match="No space left"):
        writer.flush()
    writer.flush()
    assert done == [1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_no_process_is_forked_in_the_midst_of_a_job(writer):
    done: list[int] = []
    writer.put(lambda: time.sleep(0.1) or done.append(1))
    child = os.fork()
    if child == 0:
        os._exit(len(done))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_ctrl_c_says_saved_when_all_is_on_disk(pairs, slow, monkeypatch, capsys):
    """And each checkpoint comes after the pictures that it counts on, and the lines of the log."""
    seen, real = [], save_checkpoint

    def save(run_dir, *args, **kwargs):
        seen.append([row[0] for row in page_rows(Path(run_dir))])
        return real(run_dir, *args, **kwargs)

    monkeypatch.setattr(SAVE, save)
    stop_at(monkeypatch, step=7)
    run_train(*pairs, *PIX2PIX, *epochs(2), "--name", "p", "--save_epoch_freq", 1, expect=130)
    out, run = capsys.readouterr().out, Path("checkpoints/p")
    assert "after 7 images, saved; go on with" in out
    assert saved(run) == [5, 7] and seen == [[1], [1]]
    peaks = [line["peak_mib"] for line in metrics(run)]
    assert len(peaks) == 7 and peaks[0] > 50 and peaks == sorted(peaks)
    at_the_end = float(re.search(r"end of epoch 1 / 2, .*peak RAM ([\d.]+) GiB", out)[1])
    assert round(peaks[4] / 1024, 1) <= at_the_end <= round(peaks[5] / 1024, 1)


def test_a_run_that_breaks_off_leaves_the_checkpoint_that_was_on_its_way(pairs, slow, monkeypatch):
    real, steps = Pix2PixModel.optimize_parameters, []

    def optimize_parameters(self):
        steps.append(1)
        if len(steps) == 4:
            raise RuntimeError("a mistake of ours")
        real(self)

    monkeypatch.setattr(Pix2PixModel, "optimize_parameters", optimize_parameters)
    with pytest.raises(RuntimeError, match="of ours"):
        run_train(*pairs, *PIX2PIX, *epochs(1), "--name", "p", "--save_latest_freq", 3)
    assert saved(Path("checkpoints/p")) == [3]


@pytest.mark.parametrize(("mistake", "told"), [
    (RuntimeError("a mistake of ours"), ()),
    (UserError("x.png: cannot be read"), ("error: x.png: cannot be read",)),
])  # fmt: skip
def test_a_save_that_fails_while_a_run_breaks_off_is_told(
    pairs, monkeypatch, capsys, mistake, told
):
    """Of a bug and of a user's error: both the failure, and that nothing was saved."""

    def save(*args, **kwargs):
        raise SaveError("0001: checkpoint not saved")

    def advance(self, samples, real=Checkpointer.advance):
        before = real(self, samples)
        if self.progress.images == 2:
            raise mistake
        return before

    monkeypatch.setattr(SAVE, save)
    monkeypatch.setattr("util.training.checkpointer.RETRY_S", 0)
    monkeypatch.setattr(Checkpointer, "advance", advance)
    flags = [*pairs, *PIX2PIX, *epochs(1), "--name", "p", "--save_latest_freq", 1]
    if told:
        run_train(*flags, expect=1)
    else:
        with pytest.raises(RuntimeError, match="of ours"):
            run_train(*flags)
    text = capsys.readouterr()
    assert "warning: 0001: checkpoint not saved\n" in text.err and "saved; go on" not in text.out
    assert tuple(text.err.splitlines()[-1:])[: len(told)] == told


def test_a_failure_beside_the_training_is_tried_again_there_and_told_later(
    writer, monkeypatch, capsys
):
    checkpointer, failures = make_checkpointer(writer), [SaveError("0001: checkpoint not saved")]

    def save(*args, **kwargs):
        if failures:
            raise failures.pop()
        return save_checkpoint(*args, **kwargs)

    monkeypatch.setattr(SAVE, save)
    monkeypatch.setattr("util.training.checkpointer.RETRY_S", 0)
    checkpointer.labels.append("iter_1")
    checkpointer.save()
    writer.wait()
    assert capsys.readouterr().err == ""
    assert list_checkpoints(checkpointer.run.folder)[0].labels == ["iter_1"]
    checkpointer.end_step(0)
    assert capsys.readouterr().err == "warning: 0001: checkpoint not saved; trying once more\n"
    failures += [SaveError("0002: checkpoint not saved")] * 2
    checkpointer.save()
    writer.wait()
    with pytest.raises(SaveError, match="0002: checkpoint not saved"):
        checkpointer.end_step(0)
    failures += [SaveError("0002: checkpoint not saved")] * 2
    with pytest.raises(SaveError, match="not saved"):
        checkpointer.save(at_once=True)


def test_a_picture_that_cannot_be_written_ends_the_run_in_one_line(pairs, monkeypatch, capsys):
    def save_image(picture, path):
        raise FULL

    monkeypatch.setattr("util.training_page.page.save_image", save_image)
    run_train(*pairs, *PIX2PIX, *epochs(2), "--name", "p", "--display_freq", 1, expect=1)
    text = capsys.readouterr()
    last = text.err.splitlines()[-1]
    assert last == "error: x.png: cannot be written (No space left on device)"
    assert "saved; go on with" in text.out and saved(Path("checkpoints/p"))

"""At each epoch's end its mean losses are told once, everywhere where losses are told."""

import json
import math
import re
from pathlib import Path

import pytest
import torch

from tests.browser import open_page
from tests.helpers import TINY, epoch_means, make_aligned, make_unaligned, metrics, needed_flags
from tests.helpers import train as run_train
from tests.test_resume import assert_same, stop_at
from util.record import LossGuide, Record, RunInfo, Speed, Step, read_records
from util.training.log import EpochMeans
from util.training_page.page import TrainingPage

PIX2PIX = ["--model", "pix2pix", "--netG", "resnet_6blocks", *TINY, "--n_epochs_decay", "0"]
LOSSES = ["G_GAN", "G_L1", "D_real", "D_fake"]


def test_a_small_run_has_a_record_of_every_epoch(tmp_path, capsys):
    """User report 4: 23 images x 3 epochs, and the default --print_freq 100."""
    root = make_aligned(tmp_path / "data", 3)
    run_train("--dataroot", root, "--name", "small", *PIX2PIX, "--n_epochs", 3)
    run = tmp_path / "checkpoints" / "small"
    records = read_records(run / "metrics.jsonl")
    assert [(r.over_epoch, r.step.epoch, r.step.images) for r in records] == [
        (True, epoch, 3 * epoch) for epoch in (1, 2, 3)
    ]
    assert all(list(record.losses) == LOSSES for record in records)
    assert all(record.speed.time_s > 0 for record in records)
    in_log = re.findall(r"^mean of epoch (\d) .*G_L1: (\d+\.\d{3})", _text(run), re.MULTILINE)
    assert in_log == [(str(r.step.epoch), f"{r.losses['G_L1']:.3f}") for r in records]
    assert capsys.readouterr().out.count("mean of epoch") == 3
    with open_page(run / "web" / "index.html") as page:
        page.wait_for_selector("#plot-losses path")
        assert page.locator("#legend button").count() == 4 and page.errors == []
        assert page.locator("#means").is_visible()
        shown = page.locator("#legend button b").first.text_content()
        assert float(shown) == pytest.approx(records[-1].losses["G_GAN"], rel=0.01)


def _text(run: Path) -> str:
    return (run / "loss_log.txt").read_text()


@pytest.mark.parametrize("model", ["cycle_gan", "template"])
def test_the_record_holds_the_means_over_the_epochs_steps(tmp_path, model):
    """User report 4: the mean of what every step has logged, whatever the losses are called."""
    make_aligned(tmp_path / "data")
    root = make_unaligned(tmp_path / "data")
    run_train("--dataroot", root, "--name", "m", "--model", model, *TINY, "--print_freq", 1,
              "--n_epochs", 1, "--n_epochs_decay", 0, *needed_flags(model, tmp_path))  # fmt: skip
    run = tmp_path / "checkpoints" / "m"
    steps, (mean,) = metrics(run), epoch_means(run)
    losses = steps[0].keys() - {"epoch", "iters", "images", "lr", "time_s", "data_s", "peak_mib"}
    losses = [name for name in losses if not name.startswith("weight/")]
    assert losses and len(steps) >= 4
    for name in losses:
        assert mean[name] == pytest.approx(
            sum(step[name] for step in steps) / len(steps), rel=1e-5
        ), name


def test_a_run_stopped_in_mid_epoch_records_what_an_uninterrupted_one_does(tmp_path, monkeypatch):
    """User report 4: the sums are part of the state that a run goes on from."""
    flags = ["--dataroot", make_aligned(tmp_path / "data", 3), *PIX2PIX, "--n_epochs", 2]
    run_train(*flags, "--name", "straight")
    stop_at(monkeypatch, 2)
    run_train(*flags, "--name", "resumed", expect=130)
    run_train("--name", "resumed", "--continue_train", "--gpu_ids", -1)
    straight, resumed = (tmp_path / "checkpoints" / name for name in ("straight", "resumed"))
    assert len(epoch_means(resumed)) == 2
    assert_same(straight, resumed)


def test_means_leave_out_what_is_not_finite_and_begin_anew():
    means = EpochMeans()
    for value in (1.0, torch.tensor(3.0), math.nan, torch.tensor(math.inf)):
        means.add({"G": value, "D": math.nan})
    assert means.take() == pytest.approx({"G": 2.0, "D": math.nan}, nan_ok=True)
    assert means.take() == {}


def test_losses_of_a_device_are_summed_there():
    """Nothing is read back before the end: a meta tensor has nothing that could be read."""
    means = EpochMeans()
    for _ in range(3):
        means.add({"G": torch.ones((), device="meta"), "idt": 0.5})
    assert means.sums.device.type == "meta" and means.sums.shape == (2, 1)
    assert means.totals["idt"] == (1.5, 3)


def test_a_line_of_means_is_known_by_its_mark_whatever_losses_are_called(tmp_path):
    record = Record(Step(1, 2, 3, 0.1), {"mean_over": 1.0, "G": 2.0, "weight/G": 3.0},
                    Speed(1, 2, 3), {"psnr": 8.0}, True, {"G": 10.0})  # fmt: skip
    for each in (record, Record(record.step, record.losses, record.speed)):
        (tmp_path / "metrics.jsonl").write_text(each.to_line() + "\n")
        assert read_records(tmp_path / "metrics.jsonl") == [each]
    line = json.loads(record.to_line())
    assert line["mean_over"] == "epoch" and line["weight/G"] == 10
    assert not record.to_text().startswith("(epoch")  # the form of the lines that scripts read


def test_the_page_draws_steps_or_means_whichever_there_are_more_of(tmp_path):
    """User report 4: a line of the other kind is no gap in a curve."""
    page = TrainingPage(RunInfo("r", tmp_path, losses=LossGuide(["G"])), 256, None, 9)
    for images in range(1, 9):
        page.log(Record(Step(1, images, images, 0.1), {"G": float(images)}, Speed(1, 0)))
        if images % 4 == 0:
            mean = {"G": 100.0}
            page.log(Record(Step(1, images, images, 0.1), mean, Speed(1, 0), over_epoch=True))
    with open_page(tmp_path / "web" / "index.html") as opened:
        drawn = opened.locator("#plot-losses path.raw").get_attribute("d")
        assert drawn.count("M") == 1 and drawn.count("L") == 7
        assert opened.locator("#legend button b").text_content() == "8"
        assert not opened.locator("#means").is_visible()

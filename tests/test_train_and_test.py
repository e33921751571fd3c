"""train.py and test.py as people use them."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import models
from tests.helpers import (
    TINY,
    make_aligned,
    make_unaligned,
    metrics,
    pictures,
    timeless,
)
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.checkpoints.weights import load_file
from util.training_page.page import TrainingPage

PIX2PIX = ["--model", "pix2pix", "--netG", "resnet_6blocks", "--name", "p", *TINY]
ONE_EPOCH = ["--n_epochs", 1, "--n_epochs_decay", 0]


@pytest.fixture
def pairs(tmp_path):
    return ["--dataroot", make_aligned(tmp_path / "pairs", 5)]


def test_frequencies_fire_on_crossing_whatever_the_batch_size(tmp_path, pairs):
    run_train(*pairs, *PIX2PIX, "--n_epochs", 4, "--n_epochs_decay", 0, "--batch_size", 2,
              "--print_freq", 4, "--save_latest_freq", 7, "--save_by_iter")  # fmt: skip
    run = tmp_path / "checkpoints" / "p"
    assert [m["images"] for m in metrics(run)] == [4, 9, 12, 17, 20]
    assert sorted(run.glob("iter_*_net_G.pth")) == [run / f"iter_{n}_net_G.pth" for n in (14, 7)]


def test_a_short_run_saves_its_weights(tmp_path, pairs):
    run_train(*pairs, *PIX2PIX, *ONE_EPOCH)
    run = tmp_path / "checkpoints" / "p"
    assert {f.name for f in run.glob("*.pth")} == {
        "latest_net_G.pth", "latest_net_D.pth"}  # fmt: skip
    assert len(list((run / "snapshots").iterdir())) == 1


def test_the_log_has_the_references_form(tmp_path, pairs, capsys):
    run_train(*pairs, *PIX2PIX, *ONE_EPOCH, "--print_freq", 5)
    lines = (tmp_path / "checkpoints" / "p" / "loss_log.txt").read_text().splitlines()
    line = [line for line in lines if line.startswith("(")][-1]
    number = r"-?\d+\.\d{3}"
    assert re.fullmatch(
        rf"\(epoch: 1, iters: 5, time: {number}, data: {number}\) "
        rf"G_GAN: {number} G_L1: {number} D_real: {number} D_fake: {number}",
        line,
    )
    assert line in capsys.readouterr().out
    assert metrics(tmp_path / "checkpoints" / "p")[0]["lr"] == 0.0002


def test_the_same_seed_gives_the_same_run_with_any_number_of_workers(tmp_path, pairs):
    for name, workers in (("a", 0), ("b", 2)):
        run_train(*pairs, *PIX2PIX, *ONE_EPOCH, "--name", name, "--num_threads", workers,
                  "--print_freq", 1)  # fmt: skip
    a, b = (tmp_path / "checkpoints" / name for name in "ab")
    assert timeless(a) == timeless(b)
    for file in ("latest_net_G.pth", "latest_net_D.pth"):
        left, right = load_file(a / file), load_file(b / file)
        assert all(torch.equal(left[key], right[key]) for key in left)


def test_continue_train_needs_no_other_flag(tmp_path, pairs):
    run_train(*pairs, *PIX2PIX, *ONE_EPOCH, "--direction", "BtoA", "--lambda_L1", 7)
    run_train("--name", "p", "--continue_train", "--n_epochs", 2, "--gpu_ids", -1)
    saved = (tmp_path / "checkpoints" / "p" / "train_opt.yaml").read_text()
    assert "direction: BtoA" in saved and "lambda_L1: 7" in saved and "n_epochs: 2" in saved


def test_plateau_is_fed_the_mean_generator_loss(tmp_path, pairs, monkeypatch):
    fed, real = [], torch.optim.lr_scheduler.ReduceLROnPlateau.step
    monkeypatch.setattr(torch.optim.lr_scheduler.ReduceLROnPlateau, "step",
                        lambda self, metric: (fed.append(metric), real(self, metric)))  # fmt: skip
    run_train(*pairs, *PIX2PIX, *ONE_EPOCH, "--lr_policy", "plateau", "--print_freq", 1)
    lines = metrics(tmp_path / "checkpoints" / "p")
    mean = np.mean([m["G_GAN"] + m["G_L1"] for m in lines])
    assert fed == pytest.approx([mean, mean])  # one for each optimizer


def test_a_folder_that_cannot_be_written_is_one_line(pairs, capsys):
    run_train(*pairs, *PIX2PIX, "--checkpoints_dir", "/proc/x", expect=2)
    assert "/proc/x/p: cannot be written" in capsys.readouterr().err


def test_pictures_are_brought_up_to_date_when_update_html_freq_is_crossed(
    tmp_path, pairs, monkeypatch
):
    seen, real = [], TrainingPage.show
    monkeypatch.setattr(
        TrainingPage, "show", lambda self, *what: seen.append(1) or real(self, *what)
    )
    run_train(*pairs, *PIX2PIX, *ONE_EPOCH, "--display_freq", 100, "--update_html_freq", 2)
    assert len(seen) == 3  # at 2 and 4 images, and at the end of the epoch


def test_dry_run_tells_all_and_writes_nothing(tmp_path, pairs, capsys):
    run_train(*pairs, *PIX2PIX, "--n_epochs", 1, "--n_epochs_decay", 1, "--dry_run")
    text = capsys.readouterr().out
    assert "lambda_L1" in text and "network D" in text
    assert "losses: G_GAN, G_L1, D_real, D_fake" in text and "pictures: real_A, fake_B" in text
    assert "sample: A (1, 3, 32, 32), B (1, 3, 32, 32)" in text
    assert "learning rate of epoch 2: 0.0001" in text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pairs"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (
            ["--crop_size", 30],
            "--crop_size 30 does not fit --netG resnet_6blocks.*multiples of 4",
        ),
        (["--netG", "unet_256"], "--crop_size 32 does not fit --netG unet_256.*256"),
        (["--crop_size", 16], "--crop_size 16 is too small for --netD basic"),
        (["--epoch_count", 9, "--n_epochs", 1, "--n_epochs_decay", 0], "--epoch_count 9 is beyond"),
        (["--preprocess", "scale_width"], "--load_size 34 does not fit --netG resnet_6blocks"),
        (["--dataset_mode", "single"], "--dataset_mode single gives no 'B'"),
        (["--phase", "val"], "no folder .*val"),
        (["--continue_train"], "--continue_train: no run 'p' in"),
    ],
)
def test_mistakes_are_one_line_exit_2_and_write_nothing(tmp_path, pairs, capsys, argv, words):
    run_train(*pairs, *PIX2PIX, *argv, expect=2)
    error = capsys.readouterr().err
    *warnings, last = error.splitlines()
    assert re.search(rf"^error: .*{words}", last) and all(w.startswith("warning") for w in warnings)
    assert not (tmp_path / "checkpoints").exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One epoch of CycleGAN, A in colour and B in grey."""
    root = tmp_path_factory.mktemp("trained")
    make_unaligned(root / "data", 3)
    run_train("--dataroot", root / "data", "--model", "cycle_gan", "--name", "c", "--netG",
              "resnet_6blocks", *TINY, *ONE_EPOCH, "--checkpoints_dir", root / "runs",
              "--output_nc", 1, "--lambda_identity", 0)  # fmt: skip
    return root


class TestPictures:
    """What test.py writes."""

    def translate(self, trained, *flags, data="data", results="r", model=()) -> dict[str, bytes]:
        where = ["--checkpoints_dir", trained / "runs", "--results_dir", results]
        run_test("--dataroot", trained / data, "--name", "c", *where, "--gpu_ids", -1,
                 "--num_threads", 0, *model, *flags)  # fmt: skip
        return pictures(next(Path(results).glob("c/*")))

    def test_all_images_are_done_and_runs_are_identical(self, trained):
        first, again = self.translate(trained), self.translate(trained, results="r2")
        assert first == again
        shown = ("real_A", "fake_B", "rec_A", "real_B", "fake_A", "rec_B")
        assert {n.split("_", 1)[1] for n in first} == {f"{visual}.png" for visual in shown}
        assert len(first) == 3 * 6

    def test_batches_and_workers_change_at_most_one_level(self, trained, tmp_path):
        one = self.translate(trained)
        many = self.translate(trained, "--batch_size", 2, "--num_threads", 2, results="many")
        assert one.keys() == many.keys()
        for name in one:
            a, b = (np.asarray(Image.open(p / "c/test_latest/images" / name), dtype=int)
                    for p in (tmp_path / "r", tmp_path / "many"))  # fmt: skip
            assert abs(a - b).max() <= 1, name

    @pytest.mark.parametrize(
        ("flags", "folder", "channels"),
        [
            (["--model_suffix", "_A"], "testA", (3, 1)),
            (["--direction", "AtoB"], "testA", (3, 1)),
            (["--direction", "BtoA"], "testB", (1, 3)),
            ([], "testA", (3, 1)),
        ],
    )
    def test_model_test_picks_a_generator(self, trained, monkeypatch, flags, folder, channels):
        seen = []
        test_model = models.find_model_using_name("test")
        real_forward = test_model.forward

        def forward(self):
            real_forward(self)
            seen.append((self.real.shape[1], self.fake.shape[1]))

        monkeypatch.setattr(test_model, "forward", forward)
        found = self.translate(trained, *flags, data=f"data/{folder}", model=["--model", "test"])
        assert len(found) == 3 * 2  # real and fake
        assert set(seen) == {channels}

    def test_num_test_limits_and_says_so(self, trained, capsys):
        assert len(self.translate(trained, "--num_test", 2)) == 2 * 6
        assert "testing 2 of 3 images" in capsys.readouterr().out


def test_batch_norm_in_test_mode_does_not_look_at_neighbours(tmp_path, pairs, capsys):
    """Without --eval, batch norm uses each image's own statistics, as with the reference's 1."""
    run_train(*pairs, *PIX2PIX, *ONE_EPOCH, "--no_dropout")
    for batch_size in (1, 3):
        run_test(*pairs, "--name", "p", "--gpu_ids", -1, "--batch_size", batch_size,
                 "--results_dir", f"r{batch_size}")  # fmt: skip
    assert "BatchNorm2d by each image's own statistics, no dropout" in capsys.readouterr().out
    one, three = (tmp_path / r / "p" / "test_latest" / "images" for r in ("r1", "r3"))
    for file in one.iterdir():
        a, b = (np.asarray(Image.open(p / file.name), dtype=int) for p in (one, three))
        assert abs(a - b).max() <= 1
    run_test(*pairs, "--name", "p", "--gpu_ids", -1, "--eval", "--results_dir", "r_eval")
    assert "running statistics" in capsys.readouterr().out
    assert pictures(tmp_path / "r_eval" / "p" / "test_latest") != pictures(one.parent)

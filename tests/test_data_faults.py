"""Bad data at midnight: what train.py and test.py say, do, and leave behind."""

import html
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data import loader
from data.aligned_dataset import AlignedDataset
from data.workers import batches_of
from tests.helpers import (
    ROOT,
    TINY,
    copy_of_a_run,
    environment,
    loaded_pictures,
    make_aligned,
    make_single,
    make_unaligned,
    needs_browser,
    photo,
)
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.images import read as image_read

RESNET = ["--model", "pix2pix", "--netG", "resnet_6blocks", "--name", "p", *TINY]
ONE_EPOCH = ["--n_epochs", 1, "--n_epochs_decay", 0]
CPU = ["--gpu_ids", -1, "--num_threads", 0]
NASTY = ["a b", "it's \"quoted\"", "<script>alert(1)<∕script>", '"><img onerror=alert(1)>',
         "50%#?&", "two\nlines", "名前", "x" * 250]  # fmt: skip


@pytest.fixture
def trained():
    """A run `p` of pix2pix with a small resnet."""
    return copy_of_a_run("pairs", make_aligned, *RESNET, *ONE_EPOCH)


def results(root: Path, phase: str = "test_latest") -> Path:
    return root / "results" / "p" / phase


def test_unreadable_files_end_training_before_anything_is_written(tmp_path, capsys):
    pairs = make_aligned(tmp_path / "pairs", 6)
    (pairs / "train" / "1.png").write_bytes(b"")
    (pairs / "train" / "3.png").write_text("<html>")
    run_train("--dataroot", pairs, *RESNET, *ONE_EPOCH, expect=2)
    *_, first, second, last = capsys.readouterr().err.splitlines()
    assert "1.png: an empty file" in first and "3.png" in second and "HTML" in second
    assert last.startswith("error: ") and "1.png" in last and "--bad_images skip" in last
    assert not (tmp_path / "checkpoints").exists()


def test_unreadable_files_are_left_out_counted_and_listed(tmp_path, capsys):
    pairs = make_aligned(tmp_path / "pairs", 6)
    (pairs / "train" / "3.png").write_text("<html>")
    run_train("--dataroot", pairs, *RESNET, *ONE_EPOCH, "--bad_images", "skip")
    told = capsys.readouterr()
    assert told.err.count("3.png") == 1 and "finished without 1 bad images" in told.out
    assert "3.png" in told.out


def test_unreadable_files_in_test_get_a_row_and_exit_1(trained, capsys):
    for name in ("1.png", "2.png"):
        (trained / "pairs" / "test" / name).write_bytes(b"")
    run_test("--dataroot", trained / "pairs", "--name", "p", *CPU, "--batch_size", 3, expect=1)
    page = (results(trained) / "index.html").read_text()
    assert page.count("unreadable: ") == 2 and page.count("<section") == 4
    assert len(list((results(trained) / "images").iterdir())) == 2 * 3
    assert "2 of 4 images could not be read" in capsys.readouterr().err


def test_a_file_that_goes_away_in_mid_run_saves_and_exits_1(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(image_read, "RETRY_AFTER_S", (0.0, 0.0, 0.0))
    pairs, real, drawn = make_aligned(tmp_path / "pairs", 4), AlignedDataset.__getitem__, []

    def vanishing(self, index):
        drawn.append(index)
        if len(drawn) == 4:
            shutil.rmtree(pairs)
        return real(self, index)

    monkeypatch.setattr(AlignedDataset, "__getitem__", vanishing)
    run_train("--dataroot", pairs, *RESNET, *ONE_EPOCH, "--bad_images", "skip", expect=1)
    told = capsys.readouterr()
    assert "cannot be read (No such file or directory), tried 4 times" in told.err
    assert "saved; go on with" in told.out
    assert (tmp_path / "checkpoints" / "p" / "latest_net_G.pth").is_file()


@pytest.mark.parametrize("when", ["in an epoch", "holding a lock", "between epochs"])
def test_a_killed_worker_saves_and_exits_1(tmp_path, monkeypatch, capsys, when):
    def deadly(batches, workers):
        for number, batch in enumerate(batches_of(batches, workers)):
            if number == 2 and when != "between epochs":
                if when == "holding a lock":  # which nobody can give back
                    batches._iterator._workers_done_event.shared._cond.acquire()
                os.kill(workers[0].pid, signal.SIGKILL)
            yield batch
        os.kill(workers[0].pid, signal.SIGKILL)

    monkeypatch.setattr(loader, "batches_of", deadly)
    flags = ["--num_threads", 1, "--n_epochs", 5]
    pairs = make_aligned(tmp_path / "pairs", 8)
    run_train("--dataroot", pairs, *RESNET, *flags, expect=1)
    told = capsys.readouterr()
    assert told.err.splitlines()[-1].startswith("error: data worker killed (signal 9)")
    assert "--num_threads" in told.err
    assert (tmp_path / "checkpoints" / "p" / "latest_net_G.pth").is_file()


@pytest.mark.parametrize("netG", ["resnet_6blocks", "unet_128"])
def test_results_have_the_size_of_any_image(tmp_path, netG):
    sizes = [(4, 4), (37, 53), (131, 40), (128, 128), (300, 200)]
    (tmp_path / "odd").mkdir()
    for width, height in sizes:
        photo(width, (width, height)).save(tmp_path / "odd" / f"{width}x{height}.png")
    larger = ["--load_size", 128, "--crop_size", 128, "--netG", netG]
    make_aligned(tmp_path / "pairs")
    run_train("--dataroot", tmp_path / "pairs", *RESNET, *larger, *ONE_EPOCH)
    odd = ["--dataroot", tmp_path / "odd", "--name", "p", "--model", "test", *CPU]
    run_test(*odd)
    for width, height in sizes:
        for visual in ("real", "fake"):
            file = results(tmp_path) / "images" / f"{width}x{height}_{visual}.png"
            assert Image.open(file).size == (width, height)
        assert np.array_equal(
            np.asarray(Image.open(tmp_path / "odd" / f"{width}x{height}.png")),
            np.asarray(Image.open(results(tmp_path) / "images" / f"{width}x{height}_real.png")),
        )


def test_deep_images_come_out_deep_by_test_py(tmp_path):
    for phase in ("trainA", "trainB", "testA", "testB"):
        (tmp_path / "deep" / phase).mkdir(parents=True)
        for i in range(2):
            values = np.asarray(photo(i)).astype(np.float32)
            if phase.endswith("A"):
                Image.fromarray((values[..., 0] * 257).astype(np.uint16)).save(
                    tmp_path / "deep" / phase / f"{i}.png"
                )
            else:
                np.save(tmp_path / "deep" / phase / f"{i}.npy", 8 * values[..., :2] / 255 - 4)
    channels = ["--input_nc", 1, "--output_nc", 2, "--dataset_mode", "aligned"]
    channels += ["--value_range", 0, 65535, -4, 4]  # of A, and of B
    run_train("--dataroot", tmp_path / "deep", *RESNET, *ONE_EPOCH, *channels)
    run_test("--dataroot", tmp_path / "deep", "--name", "p", *CPU, "--preprocess", "keep")
    images = results(tmp_path) / "images"
    real = np.asarray(Image.open(images / "0_real_A.png"))
    before = np.asarray(Image.open(tmp_path / "deep" / "testA" / "0.png"))
    assert real.dtype == np.uint16 and np.array_equal(real, before)
    fake = np.load(images / "0_fake_B.npy")
    assert fake.shape == (48, 48, 2) and fake.dtype == np.float32
    assert -4 <= fake.min() < 0 < fake.max() <= 4
    real = np.load(images / "0_real_B.npy")
    assert np.allclose(real, np.load(tmp_path / "deep" / "testB" / "0.npy"), atol=1e-5)
    assert Image.open(images / "0_fake_B.png").mode == "RGB"  # to look at


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--preprocess", "crop"], r"small\.png: 40x20 px is smaller than --crop_size 32"),
        (["--preprocess", "none", "--batch_size", 2], r"--batch_size 2: .*do not stack"),
        (["--preprocess", "none", "--netG", "unet_128"], "trains on multiples of 128"),
        (["--input_nc", 4, "--lambda_identity", 0], "it has 3 channels, expected are 4"),
    ],
)
def test_sizes_and_channels_that_do_not_fit_are_told_before_training(
    tmp_path, capsys, flags, words
):
    make_unaligned(tmp_path / "D")
    photo(9, (40, 20)).save(tmp_path / "D" / "trainA" / "small.png")
    run = ["--model", "cycle_gan", "--netG", "resnet_6blocks", "--name", "c", *TINY]
    run_train("--dataroot", tmp_path / "D", *run, *flags, expect=2)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert re.search(words, line), line
    assert not (tmp_path / "checkpoints").exists()


def test_a_file_below_4_px_is_named(tmp_path, capsys):
    make_aligned(tmp_path / "D")
    photo(0, (1, 1)).save(tmp_path / "D" / "train" / "dot.png")
    run_train("--dataroot", tmp_path / "D", *RESNET, expect=2)
    assert "dot.png: 1x1 px is too small" in capsys.readouterr().err


def test_same_names_get_results_of_their_own(trained):
    for folder in ("a", "b"):
        make_single(trained / "more" / folder, 1, first=ord(folder))
    for extension in ("bmp", "webp"):
        photo(5).save(trained / "more" / f"0.{extension}")
    run_test("--dataroot", trained / "more", "--name", "p", "--model", "test", *CPU)
    images = results(trained) / "images"
    names = sorted(str(p.relative_to(images)) for p in images.rglob("*_real.png"))
    assert names == ["0_real.png", "0_webp_real.png", "a/0_real.png", "b/0_real.png"]


@needs_browser
def test_names_of_any_kind_give_results_and_a_page(trained):
    folder = trained / "odd names"
    folder.mkdir()
    for number, name in enumerate(NASTY):
        photo(number).save(folder / f"{name}.png")
    photo(20).save(trained / "bytes.png")
    os.rename(trained / "bytes.png", os.fsencode(folder) + b"/not\xff\xfeutf8.png")
    command = [sys.executable, ROOT / "test.py", "--dataroot", folder, "--name", "p", "--model",
               "test", "--gpu_ids", "-1", "--num_threads", "1"]  # fmt: skip
    done = subprocess.run(command, cwd=trained, capture_output=True, text=True,
                          env=environment() | {"LC_ALL": "C"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    count = 2 * (len(NASTY) + 1)
    assert loaded_pictures(results(trained) / "index.html") == (count, count)
    assert "<img onerror" not in (results(trained) / "index.html").read_text()
    command_line = "python test.py --dataroot " + shlex.quote(str(folder))
    assert html.escape(command_line) in (results(trained) / "index.html").read_text()


def test_results_that_are_translated_again_are_not_deleted_before_they_are_read(trained):
    run = ["--name", "p", "--model", "test", *CPU]
    run_test("--dataroot", make_single(trained / "photos", 2), *run)
    images = results(trained) / "images"
    before = {picture.name: picture.read_bytes() for picture in images.iterdir()}
    run_test("--dataroot", images, *run)
    after = {picture.name: picture.read_bytes() for picture in images.iterdir()}
    assert before.items() <= after.items()
    page = next((trained / "results").rglob("index.html")).parent.parent
    assert any(f.name == "0_fake_fake.png" for f in page.rglob("*.png"))


def test_metrics_of_an_earlier_test_are_not_shown(trained, capsys):
    run = ["--dataroot", make_single(trained / "photos", 2), "--name", "p", "--model", "test", *CPU]
    run_test(*run)
    (results(trained) / "metrics.jsonl").write_text('{"stem": "1", "psnr": 12.5}\n')
    run_test(*run)
    assert "of an earlier test" in capsys.readouterr().err
    assert "12.5" not in (results(trained) / "index.html").read_text()

"""Fault 92: what looks like a file and is none, a pipe or a device, is told at once."""

import os
import signal
import socket

import pytest

from data.cache import DiskCache
from scripts import check_data, split_data
from tests.helpers import TINY, make_aligned, make_single, style_flags
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util.errors import UserError
from util.images.picture import Picture
from util.images.read import load_image

RUN = ["--model", "pix2pix", "--netG", "resnet_6blocks", "--name", "r", *TINY, "--n_epochs", 1,
       "--n_epochs_decay", 0]  # fmt: skip


@pytest.fixture(autouse=True)
def ends():
    """Whoever opens a pipe waits for ever: a failure, not a test that never ends."""

    def late(*_):
        raise TimeoutError("waits for a pipe")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def pipe(path):
    os.mkfifo(path)


def zero(path):
    path.symlink_to("/dev/zero")


def bound_socket(path):
    with socket.socket(socket.AF_UNIX) as endpoint:
        before = os.getcwd()
        os.chdir(path.parent)  # a socket's path must be short
        try:
            endpoint.bind(path.name)
        finally:
            os.chdir(before)


@pytest.mark.parametrize("make", [pipe, zero, bound_socket])
def test_among_images_it_is_a_bad_file(tmp_path, capsys, make):
    """Fault 92: train.py, test.py and check_data.py; the others are still used where that is
    wished."""
    pairs = make_aligned(tmp_path / "pairs", 2)
    for phase in ("train", "test"):
        make(pairs / phase / "x.png")
    run_train("--dataroot", pairs, *RUN, expect=2)
    assert "x.png: " in (told := capsys.readouterr().err) and "not a regular file" in told
    assert check_data.main(["--dataroot", str(pairs)]) == 2
    assert "not a regular file" in capsys.readouterr().out
    run_train("--dataroot", pairs, *RUN, "--bad_images", "skip")
    run_test("--dataroot", pairs, "--name", "r", "--gpu_ids", -1, "--num_threads", 0, expect=1)
    with pytest.raises(UserError, match="not a regular file"):
        load_image(str(pairs / "train" / "x.png"))
    assert split_data.main(["--images", str(pairs), "--out", str(tmp_path / "out")]) != 0


@pytest.mark.parametrize("flag", ["config", "pairs", "init_from", "dataroot"])
def test_as_a_flags_file_it_is_refused(tmp_path, capsys, flag):
    """Fault 92: config files, tables, weights, the images themselves."""
    pipe(tmp_path / "x.pth")
    data = tmp_path / "x.pth" if flag == "dataroot" else make_aligned(tmp_path / "D", 1)
    more = [] if flag == "dataroot" else [f"--{flag}", tmp_path / "x.pth"]
    run_train("--dataroot", data, *RUN, *more, expect=2)
    last = capsys.readouterr().err.splitlines()[-1]
    assert "x.pth: " in last and "a named pipe, not a regular file" in last


@pytest.mark.parametrize("flag", ["style_image", "perceptual_weights"])
def test_as_a_style_or_a_judge_it_is_refused(tmp_path, capsys, flag):
    """Fault 92."""
    pipe(tmp_path / "x")
    words = [*style_flags(tmp_path / "style"), f"--{flag}", tmp_path / "x", *TINY]
    root = make_single(tmp_path / "D", 1)
    run_train("--dataroot", root, "--model", "neural_style", "--name", "r", *words, expect=2)
    assert f"--{flag} {tmp_path / 'x'}: a named pipe" in capsys.readouterr().err


def test_as_weights_and_options_of_a_run_it_is_refused(tmp_path, capsys):
    """Fault 92."""
    folder = tmp_path / "checkpoints" / "r"
    folder.mkdir(parents=True)
    pipe(folder / "latest_net_G.pth")
    root = make_single(tmp_path / "D", 1)
    words = ["--dataroot", root, "--name", "r", "--model", "test", "--gpu_ids", -1]
    run_test(*words, expect=2)
    assert "latest_net_G.pth: a named pipe" in capsys.readouterr().err
    pipe(folder / "train_opt.yaml")
    run_test(*words, expect=2)
    assert "train_opt.yaml: a named pipe" in capsys.readouterr().err


def test_as_a_cache_entry_it_is_made_anew(tmp_path):
    """Fault 92."""
    make_single(tmp_path, 1)
    cache = DiskCache(10**9, tmp_path / "cache", "recipe")
    key = (str(tmp_path / "0.png"), "A")
    picture = Picture.of(load_image(key[0]))
    picture = Picture(picture.values, {"full": picture.size})
    place = cache.place(key)
    pipe(place)
    assert cache.fetch(key, lambda: [picture])[0] is picture
    assert place.is_file() and cache.load(place) is not None

"""What test.py's speed must not change: pictures, their order, what errors leave behind."""

import io
import multiprocessing
import re
import threading
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from models import networks, test_model
from models.compute.configure import image_noise
from models.translation import hold_statistics
from tests.helpers import make_single, photo, pictures
from tests.helpers import test as run_test
from util import atomic
from util.errors import UserError
from util.threads import OrderedThreads

SIZES = [(48, 48), (40, 60), (48, 48), (48, 48), (40, 60), (36, 36), (48, 48)]


@pytest.fixture
def folder(tmp_path):
    """A run with batch norm and dropout, and images of several sizes; the fourth is none."""
    torch.manual_seed(1)
    run = tmp_path / "checkpoints" / "p"
    run.mkdir(parents=True)
    net = networks.define_G(3, 3, 8, "resnet_6blocks", "batch", use_dropout=True)
    torch.save(net.state_dict(), run / "latest_net_G.pth")
    (run / "train_opt.yaml").write_text(
        "name: p\nmodel: pix2pix\nnetG: resnet_6blocks\nngf: 8\nnorm: batch\n"
    )
    make_single(tmp_path / "photos", 0)
    for number, size in enumerate(SIZES):
        photo(number, size).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "photos" / "3.png").write_bytes(b"")
    return tmp_path


def translate(folder, results, *flags, expect=1):
    """The pictures, and the stems in the page's order."""
    run_test("--dataroot", folder / "photos", "--name", "p", "--model", "test", "--gpu_ids", -1,
             "--results_dir", folder / results, *flags, expect=expect)  # fmt: skip
    assert not multiprocessing.active_children()
    there = folder / results / "p" / "test_latest"
    return pictures(there), re.findall(
        r"<section[^>]*><h2>(.*?)</h2>", (there / "index.html").read_text()
    )


def levels(written: dict[str, bytes]) -> dict[str, np.ndarray]:
    """Name -> what is in a whole picture."""
    return {n: np.asarray(Image.open(io.BytesIO(b)), dtype=int) for n, b in written.items()}


def test_batches_workers_and_writers_change_nothing(folder, monkeypatch):
    plain, order = translate(folder, "plain", "--num_threads", 0)
    assert order == [*"012456", "3"] and len(plain) == 2 * 6
    for number, threads in ((1, 0), (4, 2)):
        monkeypatch.setattr("util.threads.default_threads", lambda number=number: number)
        again = translate(folder, f"writers{number}", "--num_threads", threads)
        assert again == (plain, order)  # to the byte
    batched, its_order = translate(folder, "batched", "--num_threads", 2, "--batch_size", 3)
    assert its_order == order
    alone = levels(plain)
    for name, values in levels(batched).items():
        assert abs(values - alone[name]).max() <= 1, name


def test_a_full_disk_is_one_line_and_what_is_there_is_whole(folder, monkeypatch, capsys):
    real = atomic.write

    def full(path, *how, **more):
        if path.name == "2_fake.png":
            raise OSError(28, "No space left on device", str(path))
        real(path, *how, **more)

    monkeypatch.setattr(atomic, "write", full)
    written, order = translate(folder, "r", "--num_threads", 1)
    assert re.search(r"error: \S*2_fake.png: cannot be written \(No space", capsys.readouterr().err)
    assert order[:2] == ["0", "1"] and "2" not in order
    levels(written)


def test_ctrl_c_leaves_whole_pictures_and_their_rows(folder, monkeypatch):
    real, seen = test_model.TestModel.forward, []

    def forward(self):
        seen.append(1)
        if len(seen) == 4:
            raise KeyboardInterrupt
        real(self)

    monkeypatch.setattr(test_model.TestModel, "forward", forward)
    written, order = translate(folder, "r", "--num_threads", 1, expect=130)
    assert order == [*"012"] and len(written) == 2 * 3
    levels(written)


def test_a_batch_draws_the_dropout_of_each_image_alone():
    net = nn.Dropout(0.5)
    images = torch.rand(3, 4, 8, 8)
    with image_noise([net], torch.device("cpu")) as noise:
        noise.seed([5, 6, 7])
        together = [net(images), net(images)]
    for number, seed in enumerate((5, 6, 7)):
        torch.manual_seed(seed)
        for drawn in together:  # one layer after the other
            assert torch.equal(drawn[number], F.dropout(images[number : number + 1])[0])


def test_background_keeps_order_and_bounds_what_waits():
    taken, waiting, most = [], set(), 0
    lock = threading.Lock()

    def work(number):
        nonlocal most
        with lock:
            waiting.add(number)
        time.sleep(0.002 * (number % 3))
        return number

    def take(number):
        waiting.discard(number)
        taken.append(number)

    with OrderedThreads(take, threads=4, most_bytes=30) as background:
        for number in range(20):
            background.submit(10, work, number)
            most = max(most, len(background.waiting))
    assert taken == list(range(20)) and most <= 3


def test_statistics_of_a_file_without_networks_cannot_be_held():
    class Exported:
        """As models.export.exported.ExportedModel."""

        def networks(self) -> dict:
            return {}

    with pytest.raises(UserError, match="give the run's folder"):
        hold_statistics(Exported(), [{"A": torch.zeros(3, 8, 8)}], 0, "AtoB")

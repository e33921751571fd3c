"""Two processes on one run: what they compute together, and what they leave."""

import subprocess
import sys

import pytest
import torch

from tests.helpers import (
    ROOT,
    TINY,
    environment,
    epoch_means,
    make_aligned,
    make_unaligned,
    metrics,
    timeless,
)
from tests.helpers import train as run_train
from tests.processes import start_two, two_processes, wait_for_both
from util.checkpoints.weights import load_file

WORKER = ROOT / "tests" / "util" / "distributed_worker.py"


@pytest.mark.parametrize("norm", ["instance", "syncbatch"])
def test_two_processes_make_the_step_of_one_with_the_double_batch(norm):
    two_processes(WORKER, "step", norm)


def test_a_gradient_that_one_process_lacks_counts_as_zero():
    two_processes(WORKER, "missing")


@pytest.mark.parametrize("model", ["cut", "fastcut"])
def test_processes_agree_on_the_weights_of_contrastive_models(tmp_path, model):
    """Their perceptrons are among them; each process draws places and mirrors of its own."""
    root = make_unaligned(tmp_path / "data", 3)
    two_processes(WORKER, "train", "--dataroot", str(root), "--name", "d", "--model", model,
                  "--netG", "resnet_6blocks_antialias", *TINY[: TINY.index("--seed")],
                  "--n_epochs", "1", "--n_epochs_decay", "0")  # fmt: skip


def test_processes_agree_on_weights_and_rates_and_one_writes(tmp_path):
    """Three images on two processes, plateau, and no --seed: each draws its own at first."""
    root = make_unaligned(tmp_path / "data", 3)
    tiny = TINY[: TINY.index("--seed")]
    out = two_processes(
        WORKER, "train", "--dataroot", str(root), "--name", "d", "--model", "cycle_gan", "--netG",
        "resnet_6blocks", *tiny, "--n_epochs", "8", "--n_epochs_decay", "0", "--lr_policy",
        "plateau", "--lr", "0.01", "--print_freq", "1",
    )  # fmt: skip
    assert out.count("end of epoch 8 / 8") == 1
    run = tmp_path / "checkpoints" / "d"
    assert len(metrics(run)) == 8 * 2
    assert [line["epoch"] for line in epoch_means(run)] == list(range(1, 9))


def test_a_stopped_run_of_two_processes_goes_on_exactly(tmp_path):
    """SIGTERM to torchrun: one checkpoint, all end; the rest as if nothing had happened."""
    root = make_unaligned(tmp_path / "data", 6)
    flags = ["--dataroot", root, "--model", "cycle_gan", "--netG", "resnet_6blocks", *TINY,
             "--pool_size", 2, "--print_freq", 1]  # fmt: skip
    two_processes(ROOT / "train.py", *flags, "--name", "straight", "--n_epochs", 4,
                  "--n_epochs_decay", 0)  # fmt: skip
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*launch, ROOT / "train.py", *flags, "--name", "resumed", "--n_epochs", 1000]
    process = subprocess.Popen(list(map(str, command)), env=environment(), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
    assert any(line.startswith("(epoch: 2") for line in process.stdout)
    process.terminate()
    process.communicate()
    assert process.returncode != 0
    straight, resumed = (tmp_path / "checkpoints" / name for name in ("straight", "resumed"))
    assert len(list((resumed / "snapshots").iterdir())) == 1
    stopped_after = len(metrics(resumed))
    assert stopped_after < 12
    two_processes(ROOT / "train.py", "--name", "resumed", "--continue_train", "--n_epochs", 4,
                  "--n_epochs_decay", 0, "--gpu_ids", -1)  # fmt: skip
    assert timeless(resumed) == timeless(straight)
    for file in straight.glob("latest_net_*.pth"):
        a, b = load_file(file), load_file(resumed / file.name)
        assert all(torch.equal(a[key], b[key]) for key in a)


def test_a_run_goes_on_with_another_number_of_processes(tmp_path, capsys):
    root = make_aligned(tmp_path / "data", 4)
    two_processes(
        ROOT / "train.py", "--dataroot", str(root), "--model", "pix2pix", "--name", "p", "--netG",
        "resnet_6blocks", *TINY, "--n_epochs", "1", "--n_epochs_decay", "0",
    )  # fmt: skip
    run_train("--name", "p", "--continue_train", "--n_epochs", 2, "--gpu_ids", -1)
    assert "the run had 2 processes, now 1" in capsys.readouterr().err


def test_a_bad_number_in_one_process_stops_all(tmp_path):
    root = make_aligned(tmp_path / "data", 8)
    processes = start_two(WORKER, "poison", "--dataroot", root, "--model", "pix2pix", "--name",
                          "p", "--netG", "resnet_6blocks", *TINY, "--n_epochs", 100)  # fmt: skip
    errors = wait_for_both(processes)
    assert [process.returncode for process in processes] == [3, 3], errors
    assert "in step 3 (epoch 1): that of another process" in errors[0]
    assert "in step 3 (epoch 1); its files:" in errors[1]


def test_a_full_disk_ends_all_processes_in_one_step(tmp_path):
    """The first one tells why; nobody is left waiting for it until a connection breaks."""
    root = make_aligned(tmp_path / "data", 8)
    processes = start_two(WORKER, "full", "--dataroot", root, "--model", "pix2pix", "--name", "p",
                          "--netG", "resnet_6blocks", *TINY, "--n_epochs", 1000,
                          "--save_latest_freq", 2)  # fmt: skip
    errors = wait_for_both(processes)
    first, second = map(str.splitlines, errors)
    assert [process.returncode for process in processes] == [1, 1], errors
    assert "trying once more" in first[-2]
    assert "checkpoint not saved (No space left on device): needs" in first[-1]
    assert second[-1].startswith("error: ") and "could not save" in second[-1]
    assert not any("Traceback" in line for line in first + second)

"""Two processes on one run: what they compute together, and what they leave."""

import pytest

from tests.helpers import ROOT, TINY, make_unaligned, two_processes

WORKER = ROOT / "tests" / "util" / "distributed_worker.py"


@pytest.mark.parametrize("norm", ["instance", "syncbatch"])
def test_two_processes_make_the_step_of_one_with_the_double_batch(norm):
    two_processes(WORKER, "step", norm)


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
    lines = (tmp_path / "checkpoints" / "d" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 8 * 2

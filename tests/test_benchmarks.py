"""The benchmarks compare what is comparable, and their page says what they measured."""

import os
import statistics
import sys
from pathlib import Path

import pytest

from benchmarks import report, run, turns
from benchmarks.checkout import PLAIN, open_checkout
from benchmarks.plain.models import create_model as plain_model
from benchmarks.plain.options.train_options import TrainOptions as PlainOptions
from tests import closed_form
from tests.helpers import golden

# What the plain baseline knows; the other trajectories use further flags.
KNOWN = [e for e in golden()["trajectories"] if e["name"].startswith(
    ("pix2pix AtoB", "pix2pix BtoA", "cycle_gan identity 0.5"))]  # fmt: skip


@pytest.mark.parametrize("entry", KNOWN, ids=lambda e: e["name"])
def test_the_plain_baseline_follows_the_reference(entry):
    """Its losses are those of the reference implementation: the ratios compare equal work."""
    opt = PlainOptions().parse(["--dataroot", ".", "--device", "cpu", *entry["flags"]])
    model = plain_model(opt)
    for number, net in enumerate(model.networks().values()):
        closed_form.fill_(net, salt=10 * number)
    n, size = entry["batch"], entry["size"]
    for step, expected in enumerate(entry["steps"][:3]):
        A, B = (closed_form.image(n, 3, size, size, 2 * step + side) for side in (0, 1))
        model.set_input({"A": A, "B": B})
        model.optimize_parameters()
        assert model.get_current_losses() == pytest.approx(expected, rel=2e-3, abs=1e-7), step


def test_lines_of_losses_are_read_in_every_form():
    ours = "(epoch: 2, iters: 40, time: 0.061, data: 0.002) G_GAN: 0.693 G_L1: 21.000"
    old = "(epoch: 2, iters: 40, time: 0.061, data: 0.002) G_GAN: 0.693 G_L1: 21.000 \n"
    new = "[Rank 0] (epoch: 2, iters: 40, time: 0.061, data: 0.002) , G_GAN: 0.693, G_L1: nan\n"
    assert all(turns.is_losses(line) for line in (ours, old, new))
    assert not turns.is_losses("End of epoch 1 / 200 \t Time Taken: 12 sec")


def test_processes_take_turns():
    """One stands still while another works, and what it did not do is not counted."""
    code = "import time\nfor i in range(999): print('tick', i, flush=True); time.sleep({})"
    made = {
        name: turns.Process([sys.executable, "-c", code.format(s)], Path(), dict(os.environ),
                            lambda line: line.startswith("tick"))
        for name, s in (("quick", 0.01), ("slow", 0.04))
    }  # fmt: skip
    made["broken"] = turns.Process([sys.executable, "-c", "raise SystemExit('no torch')"], Path(),
                                   dict(os.environ), lambda line: False)  # fmt: skip
    times, failed = turns.take_turns(made, rounds=3, warm_up=3, turn_s=0.1, most=900)
    assert failed == {"broken": "ended with 1: no torch"}
    assert 2 < statistics.median(times["slow"]) / statistics.median(times["quick"]) < 8
    assert all(process.process.poll() is not None for process in made.values())


def test_only_flags_that_a_checkout_knows_are_passed():
    plain = open_checkout(PLAIN, sys.executable, "cpu")
    flags = ["--model", "pix2pix", "--display_id", "-1", "--no_html", "--ngf", "8"]
    assert plain.command("train.py", flags) == [
        "train.py", "--model", "pix2pix", "--ngf", "8", "--device", "cpu"
    ]  # fmt: skip
    assert plain.knows(["--model", "pix2pix"]) and not plain.knows(["--model", "colorization"])


def test_what_is_no_checkout_is_refused_in_one_line(tmp_path, capsys):
    assert run.main(["--against", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: --against {tmp_path}: no train.py")
    assert not list(tmp_path.iterdir())


def test_the_page_says_what_was_measured():
    assert report.PAGE.read_text() == report.page(), "run: python benchmarks/report.py"


def test_a_ratio_above_one_is_faster():
    row = {"case": "a step", "failed": {"ours --x": "out of memory"},
           "sides": {"baseline": {"s": [2.0, 2.2]}, "ours": {"s": [1.0, 1.0]}}}  # fmt: skip
    _, _, line, failed, _ = report.compared([row])
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        "a step", "ours", "2.10 s", "1.00 s", "2.10 (2.00-2.20)"
    ]  # fmt: skip
    assert "out of memory" in failed

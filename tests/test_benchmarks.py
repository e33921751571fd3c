"""The benchmarks compare what is comparable, and their page says what they measured."""

import os
import sys
import time
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


def ticking(code: str) -> turns.Process:
    """A process of a few lines that takes part in turns."""
    return turns.Process(
        [sys.executable, "-c", code], Path(), dict(os.environ), lambda line: line == "tick\n"
    )


TICKS = "import time\nwhile True: print('tick', flush=True); time.sleep(0.01)"


def test_a_process_stands_still_between_its_turns():
    with ticking(TICKS) as process:
        process.wait(2)
        process.pause()
        time.sleep(0.05)  # what it had said is still under way
        while not process.arrived.empty():
            process.arrived.get()
        time.sleep(0.1)
        assert process.arrived.empty()
        now = process.go_on()
        process.wait(2)
        assert now - process.began - process.running_s(now) >= 0.15
    assert process.process.poll() is not None


def test_who_fails_does_not_hold_up_the_others():
    made = {"well": ticking(TICKS), "broken": ticking("raise SystemExit('no torch')")}
    times, failed = turns.take_turns(made, rounds=3, warm_up=2, turn_s=0.02, most=900)
    assert failed == {"broken": "ended with 1: no torch"}
    assert len(times["well"]) == 3 and min(times["well"]) > 0
    assert made["well"].process.poll() is not None


def test_only_flags_that_a_checkout_knows_are_passed(tmp_path):
    plain = open_checkout(PLAIN, sys.executable, "cpu")
    flags = ["--model", "pix2pix", "--display_id", "-1", "--no_html", "--ngf", "8"]
    assert plain.command("train.py", flags) == [
        "train.py", "--model", "pix2pix", "--ngf", "8", "--device", "cpu"
    ]  # fmt: skip
    for room in ("models", "data", "options"):
        (tmp_path / room).mkdir()
    for script in ("train.py", "test.py"):
        (tmp_path / script).touch()
    (tmp_path / "options" / "train_options.py").write_text("add('--gpu_ids'); add(\"--model\")")
    old = open_checkout(tmp_path, sys.executable, "cpu")
    assert old.command("test.py", flags) == ["test.py", "--model", "pix2pix", "--gpu_ids", "-1"]
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
    _, _, line, _, failed = report.compared([row])
    assert [cell.strip() for cell in line.split("|")[1:-1]] == [
        "a step", "ours", "2.10 s", "1.00 s", "2.10 (2.00-2.20)"
    ]  # fmt: skip
    assert failed.strip() == "Failed: a step, ours --x: out of memory"

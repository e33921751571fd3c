"""The terminal: a line that fits any width, plain lines elsewhere, and the summary at the end."""

import re
import shlex
import sys
import time
from types import SimpleNamespace

import pytest

from tests.helpers import TINY, make_aligned, make_single, needed_flags
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from tests.terminal import in_terminal, screen
from tests.test_resume import stop_at
from util.errors import warn
from util.training import console, live_line, summary
from util.training.console import Pace, duration
from util.training.live_line import LiveLine

LOSSES = {"G_GAN": 0.6931, "G_L1": 12.345, "D_real": 0.5, "D_fake": 123456.0}
PIX2PIX = ["--model", "pix2pix", "--netG", "resnet_6blocks", *TINY, "--n_epochs", "1",
           "--n_epochs_decay", "0"]  # fmt: skip


@pytest.fixture
def clock(monkeypatch):
    """Time that passes as the test says; the line is drawn at every step."""
    clock = SimpleNamespace(now=100.0)
    ours = SimpleNamespace(perf_counter=lambda: clock.now, strftime=time.strftime)
    monkeypatch.setattr(console, "time", ours)
    monkeypatch.setattr(LiveLine, "update", LiveLine.refresh)
    return clock


def run_epoch(
    view, clock, steps, epoch=1, batch_size=1, seen=0, step_s=1.0, during=None, losses=True
):
    """An epoch of so many images: half of each step's time is waited for data."""

    class Loader:
        def __len__(self):
            return steps

        def __iter__(self):
            for _ in range(seen, steps, batch_size):
                clock.now += step_s / 2
                yield {}

    for step, _ in enumerate(view.batches(Loader(), epoch, batch_size, seen)):
        clock.now += step_s / 2
        if losses:
            view.losses("a line", LOSSES)
        if during:
            during(step)


def drawn(text: str) -> list[str]:
    return [line for line in re.split(r"[\r\n]", text) if line.startswith("epoch")]


def seconds(line: str, what: str) -> int:
    found = re.search(rf"(?:^|  ){what} (?:(\d+):)?(\d+):(\d\d)", line)
    hours, minutes, rest = (int(group or 0) for group in found.groups())
    return 3600 * hours + 60 * minutes + rest


@pytest.mark.parametrize("columns", [20, 60, 110, 200])
def test_the_line_fits_and_the_eta_falls(monkeypatch, clock, columns):
    with in_terminal(monkeypatch, columns) as terminal:
        view = console.Console(300, True)
        run_epoch(view, clock, 50, epoch=2, step_s=10.0)
    lines = drawn(terminal.text)
    assert len(lines) >= 50 and max(map(len, lines)) < columns
    assert "\x1b" not in terminal.text  # nothing that a simple terminal or NO_COLOR could mind
    assert screen(terminal.text, columns) == [""]  # it never wrapped, and is gone
    assert "epoch 2/300  50%" in terminal.text
    if columns >= 60:
        left = [seconds(line, "run ETA") for line in lines[3:]]
        assert left == sorted(left, reverse=True) and left[0] > left[-1] + 400
        assert all("G_GAN 0.693" in line for line in lines[3:])
    if columns >= 110:
        assert "  G_GAN 0.693  G_L1 12.3" in lines[25] and "█████░░░░░" in lines[25]
        assert seconds(lines[25], "ETA") > seconds(lines[40], "ETA")
        assert "10.0 s/img" in lines[-1] and "data 50%" in lines[-1]
    if columns >= 200:
        assert "D_fake 1.23e+05" in lines[-1] and "GiB" in lines[-1]


def test_etas_count_the_images_of_all_processes_and_what_was_done_before(monkeypatch, clock):
    """Four images a second by all processes together; a resumed run begins in mid-epoch."""
    with in_terminal(monkeypatch, 110) as terminal:
        run_epoch(console.Console(3, True), clock, 40, epoch=2, batch_size=4, seen=20)
    at_80 = next(line for line in drawn(terminal.text) if "80%" in line)
    assert seconds(at_80, "ETA") == 2 and seconds(at_80, "run ETA") == 12
    assert "4.0 img/s" in at_80


def test_what_is_between_the_epochs_counts_for_the_run_and_the_start_does_not(monkeypatch, clock):
    view = console.Console(11, True)
    clock.now += 1000  # compiling
    for epoch in (1, 2, 3):
        run_epoch(view, clock, 10, epoch)
        clock.now += 10  # saving
    with in_terminal(monkeypatch, 110) as terminal:
        run_epoch(view, clock, 10, 4)
    assert seconds(drawn(terminal.text)[-1], "run ETA") == pytest.approx(70 * 2, rel=0.15)


def test_warnings_stand_above_the_line(monkeypatch, clock):
    def during(step):
        if step == 2:
            warn("1.png: an empty file")

    with in_terminal(monkeypatch, 60) as terminal:
        run_epoch(console.Console(3, True), clock, 5, during=during)
    assert screen(terminal.text, 60) == ["warning: 1.png: an empty file", ""]


def test_a_terminal_made_narrower_does_not_wrap(monkeypatch, clock):
    with in_terminal(monkeypatch, 110) as terminal:
        resize = {3: lambda: terminal.resize(60)}
        run_epoch(console.Console(3, True), clock, 9,
                  during=lambda step: resize.get(step, int)())  # fmt: skip
    sent = terminal.text.split("\r")
    wide = [i for i, piece in enumerate(sent) if len(piece) >= 60]
    assert wide and len(sent) > wide[-1] + 5
    assert all(len(sent[i].rstrip()) >= 60 for i in wide)  # none is wide by blanks alone


def test_an_ascii_terminal_takes_any_name(monkeypatch, clock):
    monkeypatch.setitem(LOSSES, "λ_loss", 1.0)
    with in_terminal(monkeypatch, 200, "ascii") as terminal:
        run_epoch(console.Console(3, True), clock, 4)
    assert "[#####-----]" in terminal.text and "?_loss 1" in terminal.text


def test_lines_where_nothing_can_be_drawn(monkeypatch, clock, capsys):
    view = console.Console(3, True)
    run_epoch(view, clock, 2)
    assert capsys.readouterr() == ("a line\na line\n", "")
    run_epoch(console.Console(3, False), clock, 2)  # not the process that prints
    assert capsys.readouterr() == ("", "")


def test_a_redirected_log_tells_the_time_the_share_done_and_the_time_left(clock, capsys):
    """User report 17: 96 images, --print_freq 100, and nothing for minutes."""
    told = []
    view = console.Console(2, True, told=told.append)
    run_epoch(view, clock, 96, step_s=5.0, losses=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8  # after 10 s, and once a minute
    form = r"\d\d:\d\d:\d\d  epoch 1/2  (\d+)%  run (\d+)%  ETA .*  run ETA .*  5.0 s/img  data 50%"
    shares = [tuple(map(int, re.fullmatch(form, line).groups())) for line in lines]
    assert shares[0] == (2, 1) and shares[-1] == (89, 44)
    assert seconds(lines[-1], "ETA") == 10 * 5 and seconds(lines[-1], "run ETA") == 106 * 5
    assert [round(standing.share, 2) for standing in told][-1] == 0.45
    assert told[-1].left_s == pytest.approx(106 * 5)
    assert console.Console(2, True).standing().left_s is None


def test_a_plain_log_says_at_each_epochs_end_how_far_the_run_is(tmp_path, capsys):
    """User report 17: also where an epoch takes no minute."""
    flags = ["--dataroot", make_aligned(tmp_path / "pairs"), "--name", "a", *PIX2PIX]
    run_train(*flags, "--n_epochs", 2)
    ends = [line for line in capsys.readouterr().out.splitlines() if line.startswith("end of")]
    assert re.search(r", 50% of the run done, \d+:\d\d left$", ends[0])
    assert "left" not in ends[1]


@pytest.mark.parametrize("why", ["dumb", "piped"])
def test_lines_on_a_dumb_terminal_and_with_tee(monkeypatch, clock, tmp_path, why):
    with in_terminal(monkeypatch, 110) as terminal, open(tmp_path / "log", "w") as log:
        if why == "dumb":
            monkeypatch.setenv("TERM", "dumb")
        else:
            monkeypatch.setattr(sys, "stdout", log)
        run_epoch(console.Console(3, True), clock, 2)
    assert terminal.text + (tmp_path / "log").read_text().replace("\n", "\r\n") == "a line\r\n" * 2


def test_a_notebook_gets_the_line_in_its_cell(monkeypatch, clock, capsys):
    """Its stream is no terminal, but understands a carriage return."""
    monkeypatch.setattr(type(sys.stdout), "__module__", "ipykernel.iostream")
    run_epoch(console.Console(3, True), clock, 5)
    out, err = capsys.readouterr()
    assert len(drawn(out)) >= 5 and screen(out, 80) == [""] and err == ""


def test_what_is_long_past_counts_less():
    pace = Pace(60)
    for step_s in [10.0] * 20 + [1.0] * 200:
        pace.add(1, step_s, 0)
    assert pace.per_s() == pytest.approx(1, rel=0.05)


@pytest.mark.parametrize(
    ("time_s", "text"),
    [(0.4, "0:00"), (59.6, "1:00"), (3723, "1:02:03"), (99 * 3600, "99:00:00"),
     (400000, "4d 15h")],
)  # fmt: skip
def test_durations(time_s, text):
    assert duration(time_s) == text


def test_much_waiting_gets_a_hint():
    def said(waited_s):
        pace = Pace()
        pace.add(100, 60.0, waited_s)
        return "\n".join(summary.how_it_went(pace, 61, "images", 2))

    assert "raise --num_threads, now 2" in said(30) and "50% of the time" in said(30)
    assert "--num_threads" not in said(6)


def test_a_training_in_a_narrow_terminal_ends_with_a_command_that_works(tmp_path, monkeypatch):
    data, runs = make_aligned(tmp_path / "my pairs"), "it's here"
    (data / "train" / "1.png").write_bytes(b"")
    flags = ["--dataroot", "my pairs", "--checkpoints_dir", runs, "--name", "a", *PIX2PIX]
    with in_terminal(monkeypatch, 60) as terminal:
        run_train(*flags, "--print_freq", "1", "--bad_images", "skip")
    lines = screen(terminal.text, 60)
    beginning = next(i for i, line in enumerate(lines) if line.startswith("training on"))
    said = "\n".join(lines[beginning + 1 :])
    end = r"end of epoch 1 / 1, \d+ s, peak RAM [\d.]+ GiB\nfinished without 1 bad"
    assert re.match(rf"warning: [^%]*\n{end}", said)
    assert "ETA" not in said and drawn(terminal.text)
    for what in ("page:     it's here/a/web/index.html", "latest_net_{D,G}.pth", "loss_log.txt"):
        assert what in said
    command = re.search(r"next: (.*)", terminal.text)[1].strip()
    python, entry, *argv = shlex.split(command)
    assert (python, entry) == ("python", "test.py") and "it's here" in argv
    run_test(*argv, *TINY[-4:-2])


def test_a_stopped_run_is_summed_up_and_told_once_how_to_go_on(tmp_path, monkeypatch, capfd):
    make_aligned(tmp_path / "pairs")
    stop_at(monkeypatch, 2)
    run_train("--dataroot", "pairs", "--name", "a", *PIX2PIX, expect=130)
    out = capfd.readouterr().out
    assert "this session: took 0:" in out and "latest_net_{D,G}.pth" in out
    assert out.count("--continue_train") == 1 and "finished" not in out and "next:" not in out


def test_a_style_by_optimisation_counts_steps_and_has_nothing_to_test(tmp_path, capsys):
    make_single(tmp_path / "photos", 1)
    run_train("--dataroot", "photos", "--name", "s", "--model", "neural_style", "--gpu_ids", "-1",
              *needed_flags("neural_style", tmp_path / "style"))  # fmt: skip
    out = capsys.readouterr().out
    end = out[out.index("finished: ") :]
    assert re.search(r"(step/s|s/step), ", end) and "pictures: checkpoints/s/pictures" in end
    assert "next:" not in end and "weights:" not in end and "img" not in end


def test_columns_of_a_terminal_that_does_not_say(monkeypatch):
    with in_terminal(monkeypatch, 0) as terminal:
        assert live_line.columns(terminal.stream) == 79

"""Signals at any moment: one line, the exit code of the signal, and nobody left behind."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from models.pix2pix_model import Pix2PixModel
from tests.helpers import ROOT, TINY, make_aligned
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util import signals
from util.errors import UserError, one_line_errors

CODES = [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 143)]
RUN = ["--model", "pix2pix", "--name", "p", "--netG", "resnet_6blocks", *TINY, "--n_epochs", "1",
       "--n_epochs_decay", "0"]  # fmt: skip


def send(name: str) -> None:
    """To this process; Python hears of it before the next line."""
    os.kill(os.getpid(), getattr(signal, name))


@pytest.fixture(autouse=True)
def default_handlers():
    """As in a process of its own."""
    before = {name: signal.getsignal(getattr(signal, name)) for name, _ in CODES}
    for name, _ in CODES:
        usual = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
        signal.signal(getattr(signal, name), usual)
    yield
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)


@pytest.mark.parametrize(("name", "code"), CODES)
@pytest.mark.parametrize("wrapped", [False, True])
def test_any_command_ends_in_one_line(capsys, name, code, wrapped):
    """User report 12: also where a library makes an error of its own of it."""

    @one_line_errors
    def main(argv=None):
        try:
            send(name)
        except BaseException as error:
            if wrapped:
                raise RuntimeError("1900 lines of C++") from error
            raise

    before = signal.getsignal(getattr(signal, name))
    assert main([]) == code
    assert capsys.readouterr() == ("", f"stopped by {name}\n")
    assert signal.getsignal(getattr(signal, name)) == before


@pytest.mark.parametrize(("name", "code"), CODES)
def test_a_command_that_finishes_its_work_ends_after_it(capfd, name, code):
    done = []

    @one_line_errors
    def main(argv=None):
        with signals.finishing(lambda: done.append("asked"), "answering"):
            send(name)
            done.append("answered")
        done.append("never")

    assert main([]) == code
    assert done == ["asked", "answered"]
    said = capfd.readouterr()
    assert f"{name}: answering; once more" in said.err and f"stopped by {name}\n" in said.out


def test_what_a_user_can_mend_is_told_all_the_same():
    with pytest.raises(UserError, match="no such file"), signals.interruptible():
        try:
            send("SIGTERM")
        except signals.Interrupted:
            raise UserError("no such file") from None


@pytest.mark.parametrize(("name", "code"), CODES[:2])
@pytest.mark.parametrize("where", ["data", "model"])
def test_a_training_that_is_being_prepared_ends_at_once(
    tmp_path, monkeypatch, capsys, name, code, where
):
    """User report 12: at the check of the data and at building the model."""
    root, worked = make_aligned(tmp_path / "data"), []

    def interrupted(*given):
        send(name)
        worked.append(1)

    place = "train.create_dataset" if where == "data" else "train.create_model"
    monkeypatch.setattr(place, interrupted)
    run_train("--dataroot", root, *RUN, expect=code)
    err = capsys.readouterr().err
    assert err == f"stopped by {name} before the first step; nothing was written\n"
    assert not worked and not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize(("name", "code"), CODES[:2])
def test_compilers_end_with_the_training(tmp_path, monkeypatch, capsys, name, code):
    """User report 12: what a compiler says of its end is no news, and it leaves nobody behind."""
    root, started = make_aligned(tmp_path / "data"), []
    compiling = {"__name__": signals.COMPILERS[0], "send": send, "started": started,
                 "subprocess": subprocess, "sys": sys}  # fmt: skip
    code_of = "def compile_net(name):\n    started.append(subprocess.Popen([sys.executable, '-c', "
    code_of += "'import time; time.sleep(600)']))\n    send(name)\n    raise RuntimeError('C++')\n"
    exec(code_of, compiling)
    monkeypatch.setattr(Pix2PixModel, "forward", lambda self: compiling["compile_net"](name))
    run_train("--dataroot", root, *RUN, expect=code)
    text = capsys.readouterr()
    assert text.err == f"stopped by {name} before the first step was done\n"
    assert started[0].wait() == -signal.SIGKILL
    assert "finishing the step" not in text.err


def test_a_compiler_that_the_same_ctrl_c_has_ended_is_no_error(tmp_path, monkeypatch, capsys):
    """User report 12: the step goes on, and fails of it."""

    def forward(self):
        send("SIGINT")
        raise torch._dynamo.exc.InternalTorchDynamoError("g++ was killed\n" * 900)

    monkeypatch.setattr(Pix2PixModel, "forward", forward)
    run_train("--dataroot", make_aligned(tmp_path / "data"), *RUN, expect=130)
    err = capsys.readouterr().err
    assert err == "stopped by SIGINT before the first step was done\n" and "g++" not in err


def test_a_test_ends_in_one_line(tmp_path, monkeypatch, capsys):
    """User report 12."""
    run_train("--dataroot", make_aligned(tmp_path / "data", 2), *RUN)
    capsys.readouterr()
    monkeypatch.setattr("test.create_model", lambda opt: send("SIGTERM"))
    run_test("--dataroot", tmp_path / "data", "--name", "p", "--gpu_ids", -1, expect=143)
    assert capsys.readouterr().err == "stopped by SIGTERM\n"


def test_a_signal_while_a_script_is_read_ends_it_in_one_line(tmp_path):
    """User report 12: the imports."""
    code = "import os, signal; from util import signals; signals.guard_start(); "
    code += "os.kill(os.getpid(), signal.SIGTERM); import train"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (143, "stopped by SIGTERM\n")

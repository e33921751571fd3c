"""What is set for a whole process is set by entry points, and by nothing else."""

import ctypes

import pytest
import torch

import test as test_script
import train as train_script
from models import create_model
from models.compute import process
from options.train_options import TrainOptions
from tests.helpers import TINY, make_aligned
from tests.helpers import test as run_test
from tests.helpers import train as run_train

RUN = ["--dataroot", "data", "--name", "run", "--model", "pix2pix", *TINY, "--netG",
       "resnet_6blocks", "--n_epochs", "1", "--n_epochs_decay", "0", "--no_html"]  # fmt: skip


@pytest.fixture(autouse=True)
def put_back():
    """torch's switches are after a test what they were before."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
    be_deterministic = torch.use_deterministic_algorithms
    yield
    cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = before
    be_deterministic(False)


def switches() -> tuple:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    return (cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32,
            torch.are_deterministic_algorithms_enabled(), torch.get_num_threads())  # fmt: skip


@pytest.mark.parametrize(
    ("precision", "fixed_size", "deterministic", "expected"),
    [  # cudnn.benchmark, TF32 of convolutions, of matrix products
        ("auto", True, False, (True, True, False)),
        ("auto", False, False, (False, True, False)),
        ("auto", True, True, (False, True, False)),
        ("fp32", True, False, (True, False, False)),
        ("tf32", False, True, (False, True, True)),
    ],
)
def test_a_gpu_is_set_as_the_options_say(precision, fixed_size, deterministic, expected):
    torch.backends.cudnn.benchmark = not expected[0]
    process.tune_process(torch.device("cuda"), precision, fixed_size, deterministic)
    assert switches()[:4] == (*expected, deterministic)


def test_a_model_in_a_larger_program_sets_nothing(monkeypatch):
    def forbidden(*_: object) -> None:
        raise AssertionError("a switch of the whole process")

    opt = TrainOptions().parse([*RUN, "--deterministic", "--precision", "bf16"])
    monkeypatch.setattr(ctypes, "CDLL", forbidden)
    for name in ("use_deterministic_algorithms", "set_num_threads", "set_float32_matmul_precision"):
        monkeypatch.setattr(torch, name, forbidden)
    process.keep_freed_memory.cache_clear()
    process._glibc.cache_clear()
    before = switches()
    model = create_model(opt)
    model.setup(opt)
    batch = {"A": torch.zeros(1, 3, 32, 32), "B": torch.ones(1, 3, 32, 32)}
    model.set_input(batch | {"A_paths": ["a"], "B_paths": ["b"]})
    model.optimize_parameters()
    model.test_mode(True)
    assert switches() == before


def test_train_and_test_set_the_process_once(tmp_path, monkeypatch):
    make_aligned(tmp_path / "data", 1)
    calls = []
    for script in (train_script, test_script):
        monkeypatch.setattr(script, "tune_process", lambda *given: calls.append(given))
    run_train(*RUN, "--deterministic", "--precision", "bf16")
    run_test("--dataroot", "data", "--name", "run", "--device", "cpu", "--preprocess", "none")
    (device, *trained), (_, *tested) = calls
    assert torch.device(device).type == "cpu" and trained == ["bf16", True, True]
    assert tested == ["auto", False, False]


def test_a_loop_of_its_own_is_told_what_it_does_not_set(tmp_path, monkeypatch, capsys):
    """The original's loops call create_model, and nothing that sets up the process."""
    make_aligned(tmp_path / "data")
    opt = TrainOptions().parse([*RUN, "--deterministic"])
    monkeypatch.setattr(process, "_tuned", False)
    create_model(opt)
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "--deterministic: set for a whole process" in err
    process.tune_process(opt.device)
    create_model(opt)
    assert capsys.readouterr().err == ""

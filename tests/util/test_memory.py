"""Memory that runs out, on a GPU or in the machine: one line, and nothing of a training is lost."""

import errno
import re

import numpy as np
import pytest
import torch

from models.cycle_gan_model import CycleGANModel
from models.pix2pix_model import Pix2PixModel
from models.test_model import TestModel as OneSidedModel
from tests.helpers import TINY, make_aligned, make_single, make_unaligned, metrics
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from tests.processes import start
from tests.test_resume import assert_same
from util.machine import is_out_of_memory, memory_advice

NETS = ["--netG", "resnet_6blocks", *TINY, "--print_freq", "1", "--n_epochs_decay", "0"]


def said_by_numpy() -> MemoryError:
    with pytest.raises(MemoryError) as caught:
        np.empty(2**60, np.uint8)
    return caught.value


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has ..."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: "
                 "you tried to allocate 720000000000 bytes. Error code 12"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"), MemoryError(),
    RuntimeError("Failed to allocate memory for requested buffer of size 8589934592"),  # ONNX
    said_by_numpy(), OSError(errno.ENOMEM, "Cannot allocate memory"),
]  # fmt: skip
OTHERS = [RuntimeError("size mismatch"), ValueError("out of memory"), OSError(errno.ENOSPC, "full")]


def test_want_of_memory_is_known_whoever_tells_of_it():
    assert all(is_out_of_memory(error) for error in OUT_OF_MEMORY)
    assert not any(is_out_of_memory(error) for error in OTHERS)
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError("a graph could not be recorded") from OUT_OF_MEMORY[0]
    assert is_out_of_memory(caught.value)


def test_advice_names_what_is_there_and_not_in_use():
    large = {"batch_size": 16, "crop_size": 512, "load_size": 540, "preprocess": "resize_and_crop",
             "lean": False, "device": "cuda:0", "precision": "auto", "ngf": 64}  # fmt: skip
    assert memory_advice(large) == (
        "lower --batch_size (now 16) or --crop_size (now 512) or --load_size (now 540), or try "
        "--lean or --precision bf16"
    )
    used = large | {"lean": True, "precision": "bf16", "batch_size": 1, "preprocess": "none"}
    assert memory_advice(used) == "lower --ngf (now 64)"
    assert "--" not in memory_advice({})


def fresh(error: Exception) -> Exception:
    """One without a trace, which would hold what its frames hold."""
    return type(error)(*error.args)


def fail_in(monkeypatch, model: type, method: str, call: int, error: Exception) -> None:
    """Let the memory run out at the so many-th call of a model's method."""
    real, calls = getattr(model, method), []

    def failing(self, *given):
        calls.append(1)
        if len(calls) == call:
            raise fresh(error)
        return real(self, *given)

    monkeypatch.setattr(model, method, failing)


@pytest.mark.parametrize(
    ("model", "kind", "method", "error"),
    [("pix2pix", Pix2PixModel, "forward", OUT_OF_MEMORY[0]),
     ("pix2pix", Pix2PixModel, "backward_G", OUT_OF_MEMORY[1]),  # D has made its update
     ("cycle_gan", CycleGANModel, "backward_G", OUT_OF_MEMORY[3]),
     ("cycle_gan", CycleGANModel, "backward_D_A", OUT_OF_MEMORY[6])],  # G has
)  # fmt: skip
def test_the_last_whole_step_is_saved_when_memory_runs_out(
    tmp_path, monkeypatch, capsys, model, kind, method, error
):
    """Fault 88: and the run goes on from it as if nothing had happened."""
    root = (make_aligned if model == "pix2pix" else make_unaligned)(tmp_path / "data")
    flags = ["--dataroot", root, "--model", model, *NETS, "--n_epochs", 1]
    flags += ["--pool_size", 2] if model == "cycle_gan" else []
    run_train(*flags, "--name", "straight")
    with monkeypatch.context() as patch:
        fail_in(patch, kind, method, 3, error)
        run_train(*flags, "--name", "resumed", expect=1)
    text = capsys.readouterr()
    last = text.err.splitlines()[-1]
    assert re.fullmatch(r"error: out of memory.*; lower --crop_size .*", last), text.err
    assert "Traceback" not in text.err
    assert "stopped in epoch 1 after 2 images, saved; go on with:" in text.out
    run_train("--name", "resumed", "--continue_train", "--gpu_ids", -1)
    assert len(metrics(tmp_path / "checkpoints" / "resumed")) == 4
    assert_same(*(tmp_path / "checkpoints" / name for name in ("straight", "resumed")))


def test_without_a_whole_step_there_is_nothing_to_save(tmp_path, monkeypatch, capsys):
    flags = ["--dataroot", make_aligned(tmp_path / "data"), "--name", "p", *NETS, "--n_epochs", 1]
    fail_in(monkeypatch, Pix2PixModel, "backward_G", 1, OUT_OF_MEMORY[0])
    run_train(*flags, "--model", "pix2pix", expect=1)
    text = capsys.readouterr()
    assert text.err.count("\n") == 1 and "(2.5 GiB more were asked for)" in text.err
    assert not list((tmp_path / "checkpoints" / "p").glob("*.pth")) and "saved" not in text.out


@pytest.mark.parametrize(
    ("flags", "named"),
    [(["--ngf", 100_000], "--ngf (now 100000)"), (["--ngf", 5_000], "--ngf (now 5000)"),
     (["--ndf", 100_000], "--ndf (now 100000)"),
     (["--crop_size", 10**6, "--load_size", 10**6], "--crop_size (now 1000000)"),
     (["--batch_size", 10**9], "--batch_size (now 1000000000)"),
     (["--netD", "n_layers", "--n_layers_D", 10**7, "--preprocess", "none"], "--n_layers_D")],
)  # fmt: skip
def test_what_no_machine_has_is_refused_before_anything_is_written(tmp_path, capsys, flags, named):
    """Fault 89: also what a system would promise, and then end the process for using it."""
    root = make_aligned(tmp_path / "data", 2)
    run_train("--dataroot", root, "--model", "pix2pix", "--name", "p", *NETS, *flags, expect=2)
    err = capsys.readouterr().err
    assert named in err.splitlines()[-1] and "Traceback" not in err
    assert not (tmp_path / "checkpoints" / "p").exists()


@pytest.mark.parametrize("batch_size", [1, 4])
def test_an_image_that_needs_too_much_is_left_out_of_a_test(
    tmp_path, monkeypatch, capsys, batch_size
):
    """Fault 89: told, in the page, and the others are what they would have been without it."""
    root = make_aligned(tmp_path / "data", 1)
    run_train("--dataroot", root, "--model", "pix2pix", "--name", "p", *NETS, "--n_epochs", 1)
    make_single(tmp_path / "photos", 4)
    flags = ["--dataroot", tmp_path / "photos", "--name", "p", "--model", "test", "--gpu_ids", -1,
             "--no_flip", "--batch_size", batch_size]  # fmt: skip
    run_test(*flags[:-1], 1, "--results_dir", "whole")
    real = OneSidedModel.forward

    def forward(self):
        if any(path.endswith("2.png") for path in self.image_paths):
            raise fresh(OUT_OF_MEMORY[0])
        real(self)

    monkeypatch.setattr(OneSidedModel, "forward", forward)
    run_test(*flags, "--results_dir", "left", expect=1)
    text = capsys.readouterr()
    assert re.search(r"warning: .*2\.png: out of memory at \d+x\d+ px; .*; left out\n", text.err)
    whole, left = (tmp_path / name / "p" / "test_latest" for name in ("whole", "left"))
    made = {file.name: file.read_bytes() for file in (left / "images").glob("*fake*")}
    assert sorted(made) == ["0_fake.png", "1_fake.png", "3_fake.png"]
    assert all((whole / "images" / name).read_bytes() == data for name, data in made.items())
    assert "out of memory" in (left / "index.html").read_text()


def test_memory_really_runs_out(tmp_path):
    """Fault 88: a limit of the system instead of a fake."""
    root = make_aligned(tmp_path / "data", 2)
    limit = "taken = 4096 * int(open('/proc/self/statm').read().split()[0])\n"
    limit += "import resource; resource.setrlimit(resource.RLIMIT_AS, (taken + 2**28,) * 2)"
    flags = ["--dataroot", root, "--model", "pix2pix", "--name", "p", *NETS, "--ngf", 64,
             "--crop_size", 512, "--load_size", 512, "--n_epochs", 1]  # fmt: skip
    process = start(tmp_path, *flags, before=limit)
    assert process.wait() in (1, 2)
    assert process.err.splitlines()[-1].startswith("error: out of memory")
    assert "Traceback" not in process.err

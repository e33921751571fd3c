"""Variables that launchers leave behind, or set wrong."""

import re

import pytest

from tests.helpers import TINY, make_aligned, metrics
from tests.helpers import test as run_test
from tests.helpers import train as run_train
from util import distributed
from util.distributed import Launch

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
WHOLE = {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost",
         "MASTER_PORT": "29500"}  # fmt: skip


@pytest.fixture
def environ(monkeypatch):
    """Sets these variables, and no other of a launcher."""

    def put(**variables: str) -> None:
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


@pytest.mark.parametrize(
    "left",
    [{"RANK": "1"}, {"RANK": "3", "LOCAL_RANK": "3"}, {"RANK": "one"}, {"WORLD_SIZE": ""},
     {"WORLD_SIZE": "1", "RANK": "0"}, {"WORLD_SIZE": "1", "RANK": "7", "LOCAL_RANK": "-2"},
     {"MASTER_ADDR": "nowhere"}, {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "3"}],
)  # fmt: skip
def test_what_others_have_left_there_is_ignored(environ, left):
    """Fault 90."""
    environ(**left)
    assert distributed._launch() == Launch() and distributed.speaks()


def test_a_run_with_a_stray_rank_prints_and_writes_as_any_other(environ, tmp_path, capsys):
    """Fault 90: `RANK=1 train.py` trained to the end, printed and wrote nothing."""
    environ(RANK="1")
    root = make_aligned(tmp_path / "data", 2)
    run_train("--dataroot", root, "--model", "pix2pix", "--name", "p", "--netG", "resnet_6blocks",
              *TINY, "--n_epochs", 1, "--n_epochs_decay", 0, "--print_freq", 1)  # fmt: skip
    assert len(metrics(tmp_path / "checkpoints" / "p")) == 2
    assert "end of epoch 1" in capsys.readouterr().out
    run_test("--dataroot", root, "--name", "p", "--gpu_ids", -1)
    assert "results of 2 images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "told"),
    [({"WORLD_SIZE": "two"}, "WORLD_SIZE=two: accepted: a whole number from 1 up"),
     ({"WORLD_SIZE": "0"}, "WORLD_SIZE=0: accepted"), ({"WORLD_SIZE": "-1"}, "WORLD_SIZE=-1: acc"),
     ({"WORLD_SIZE": "9" * 99}, "WORLD_SIZE=999"), ({"RANK": "2"}, "RANK=2: .* from 0 to 1"),
     ({"RANK": "-1"}, "RANK=-1"), ({"RANK": "x"}, "RANK=x"), ({"RANK": ""}, "RANK is not"),
     ({"LOCAL_RANK": "x"}, "LOCAL_RANK=x"), ({"LOCAL_RANK": "-1"}, "LOCAL_RANK=-1"),
     ({"MASTER_ADDR": ""}, "MASTER_ADDR is not"), ({"MASTER_PORT": ""}, "MASTER_PORT is not"),
     ({"MASTER_PORT": "many"}, "MASTER_PORT=many"), ({"MASTER_PORT": "70000"}, "from 1 to 65535")],
)  # fmt: skip
@pytest.mark.parametrize("command", [run_train, run_test])
def test_what_cannot_be_meant_is_one_line(environ, tmp_path, capsys, command, changed, told):
    """Fault 90."""
    environ(**WHOLE | changed)
    command("--dataroot", make_aligned(tmp_path / "data", 1), "--name", "p", "--model", "pix2pix",
            "--gpu_ids", -1, expect=2)  # fmt: skip
    err = capsys.readouterr().err
    assert re.search(f"^error: .*{told}.*torchrun --nproc_per_node=N", err), err
    assert err.count("\n") == 1 and not (tmp_path / "checkpoints").exists()

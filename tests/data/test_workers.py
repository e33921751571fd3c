"""The loader's processes, and what data/workers.py takes from torch that is not public."""

import ast
import errno
import multiprocessing.queues
import os
import signal
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

import data
from data import workers
from options.train_options import TrainOptions
from tests.helpers import ROOT, TINY, make_aligned
from tests.processes import LIMIT_S
from util.errors import UserError

PRIVATE = {
    "_iterator", "_workers", "_workers_done_event", "_cond", "_worker_info", "_worker_pids_set",
    "_remove_worker_pids",
}  # fmt: skip
SEEN_IN = ("2.4.1", "2.14.1")  # versions of torch that had them


def test_torch_has_what_workers_py_relies_on():
    loader = DataLoader(list(range(4)), num_workers=1, persistent_workers=True)
    batches = iter(loader)
    message = f"torch {torch.__version__} differs from {SEEN_IN}: see data/workers.py"
    assert loader._iterator is batches, message
    assert [worker.is_alive() for worker in batches._workers] == [True], message
    event = batches._workers_done_event
    assert not event.is_set() and event._cond.acquire(timeout=LIMIT_S), message
    event._cond.release()
    assert batches._worker_pids_set, message
    torch.utils.data._utils.signal_handling._remove_worker_pids(id(batches))
    batches._worker_pids_set = False
    del batches
    loader._iterator = None  # ends them


def test_only_workers_py_reaches_into_torchs_loader():
    found = set()
    for top in ("data", "models", "options", "util", "scripts"):
        for path in (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and node.attr in PRIVATE:
                    of_self = isinstance(node.value, ast.Name) and node.value.id == "self"
                    found |= set() if of_self else {str(path.relative_to(ROOT))}
    assert found == {"data/workers.py"}


def small_batches(folder: Path, *flags: str) -> list[dict]:
    words = ["--dataroot", str(folder), "--name", "n", *TINY, "--model", "pix2pix", "--netG",
             "resnet_6blocks", "--batch_size", "2", *flags]  # fmt: skip
    loader = data.create_dataset(TrainOptions().parse(words))
    try:
        return list(loader)
    finally:
        loader.loader._iterator = None  # ends its workers


@pytest.mark.parametrize("refusal", [
    RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left (28)"),
    RuntimeError("unable to open shared memory object </torch_1_2_3>: Too many open files (24)"),
    OSError(errno.EMFILE, "Too many open files"),
])  # fmt: skip
def test_without_room_in_shared_memory_batches_come_all_the_same(
    tmp_path, monkeypatch, capsys, refusal
):
    """Fault 93: Docker's 64 MB, and few file handles; workers are forked, and find it so too."""
    make_aligned(tmp_path)
    plain = small_batches(tmp_path)
    workers._tell_of_pipes.cache_clear()

    def refuse(*given):
        raise refusal

    monkeypatch.setattr(torch.Tensor, "share_memory_", refuse)
    monkeypatch.setattr(torch.UntypedStorage, "_share_fd_cpu_", refuse)
    piped = small_batches(tmp_path, "--num_threads", "2")
    err = capsys.readouterr().err
    assert err.count("come through pipes") == 1 and "--shm-size" in err
    assert len(piped) == len(plain) == 2
    for one, other in zip(piped, plain, strict=True):
        assert one["A_paths"] == other["A_paths"] and torch.equal(one["A"], other["A"])
        assert one["A"].stride() == other["A"].stride()


@pytest.mark.parametrize(
    ("error", "told"),
    [(OSError(errno.EMFILE, "Too many open files"), "too few file handles"),
     (RuntimeError("received 0 items of ancdata: Too many open files"), "too few file handles")],
)  # fmt: skip
def test_too_few_handles_for_the_processes_themselves_are_one_line(
    tmp_path, monkeypatch, error, told
):
    """Fault 93."""
    make_aligned(tmp_path)

    def refuse(loader):
        raise error

    monkeypatch.setattr(DataLoader, "__iter__", refuse)
    with pytest.raises(UserError, match=rf"--num_threads 2: {told}.*ulimit -n 4096"):
        small_batches(tmp_path, "--num_threads", "2")


def test_a_worker_that_shared_memory_has_killed_is_told_what_to_raise(tmp_path):
    """Fault 93: where the system finds out too late."""
    make_aligned(tmp_path, 40)
    words = ["--dataroot", str(tmp_path), "--name", "n", *TINY[:-4], "--model", "pix2pix",
             "--gpu_ids", "-1", "--netG", "resnet_6blocks", "--num_threads", "1"]  # fmt: skip
    loader = data.create_dataset(TrainOptions().parse(words))
    with pytest.raises(UserError, match=r"killed \(signal 7\).*/dev/shm.*--shm-size"):
        for _ in loader:
            os.kill(loader.workers[0].pid, signal.SIGBUS)
            loader.workers[0].join(LIMIT_S)


def test_a_worker_that_can_send_nothing_ends_without_a_trace(capfd):
    """Few file handles: the main process tells it; of anything else there is a trace."""
    for error, traces in ((OSError(errno.EMFILE, "Too many open files"), 0), (ValueError(), 1)):
        if (child := os.fork()) == 0:
            workers.begin_worker(0)
            multiprocessing.queues.Queue._on_queue_feeder_error(error, None)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == workers.SENT_NOTHING
        assert capfd.readouterr().err.count(type(error).__name__) == traces

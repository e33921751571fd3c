"""What data/workers.py takes from torch that is not public."""

import ast

import torch
from torch.utils.data import DataLoader

from tests.helpers import ROOT
from tests.processes import LIMIT_S

PRIVATE = {"_iterator", "_workers", "_workers_done_event", "_cond"}
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

"""Explicit randomness: every draw is a function of the run's seed and a position."""

import contextlib
import os
import random
from collections.abc import Iterator

import numpy as np

from util.lazy import torch

MAX_SEED = 2**32 - 1


def draw_seed() -> int:
    """A fresh seed from the operating system, for a run that was given none."""
    return random.SystemRandom().randint(0, MAX_SEED)


def mix(*numbers: int) -> int:
    """A 32-bit seed out of several non-negative integers, e.g. (seed, epoch, index)."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def be_deterministic() -> None:
    """Let torch choose only algorithms that give the same bits each time, also on a GPU; where
    there is none, it warns and goes on."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)


def seed_everything(seed: int) -> None:
    """Seed `random`, `numpy` and `torch` (all devices)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block under its own CPU seeds and put the generators back afterwards."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def random_state() -> dict:
    """All generators' states as plain values and tensors."""
    version, numbers, gauss = random.getstate()
    name, keys, *rest = np.random.get_state()
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [name, keys.tolist(), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    }


def set_random_state(state: dict) -> None:
    """Take `random_state()` back; GPUs that are not there are left out."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(state["torch"].cpu())
    for number, cuda_state in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(cuda_state.cpu(), number)

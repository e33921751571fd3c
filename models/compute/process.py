"""What is set for a whole process: its allocator, cuDNN, TF32, deterministic algorithms.

Entry points call `tune_process` once; models never do, so that one that is part of a larger program
changes nothing there.
"""

from __future__ import annotations

import ctypes
import functools
import platform

from util.errors import warn
from util.lazy import torch
from util.seed import be_deterministic


def tune_process(
    device: torch.device | str, precision: str = "auto", fixed_size: bool = False,
    deterministic: bool = False,
) -> None:  # fmt: skip
    """Set this process up for networks on a device.

    Args:
        precision: fp32 or tf32 decide how a GPU rounds the factors of its products.
        fixed_size: all images have one size: cuDNN may try out its algorithms for it.
        deterministic: only algorithms that give the same bits each time; cuDNN tries none.
    """
    global _tuned
    device, _tuned = torch.device(device), True
    if deterministic:
        be_deterministic()
    if device.type == "cuda":
        _use_tf32(precision)
        torch.backends.cudnn.benchmark = fixed_size and not deterministic
    if device.type == "cpu":
        keep_freed_memory()


_tuned = False  # whether somebody has called `tune_process`


def tell_untuned(device: torch.device | str, precision: str, deterministic: bool) -> None:
    """Warn of flags that a script with a loop of its own has not set this process up for."""
    flags = ["--deterministic"] * deterministic
    rounds = precision in ("fp32", "tf32") and torch.device(device).type == "cuda"
    flags += [f"--precision {precision}"] * rounds
    if flags and not _tuned:
        warn(
            f"{', '.join(flags)}: set for a whole process, which train.py and test.py do and this "
            "script does not; let it call models.compute.process.tune_process first"
        )


def _use_tf32(precision: str) -> None:
    """Whether a GPU's matrix products and convolutions may round their factors to 10 bits; `auto`
    leaves that as torch has it (convolutions do)."""
    if precision in ("fp32", "tf32"):
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.allow_tf32 = precision == "tf32"


@functools.cache
def keep_freed_memory() -> None:
    """Let the C library keep what is freed: a step asks for the same large pieces each time, and
    pages that come fresh from the system have to be cleared first. Only glibc can be told."""
    if libc := _glibc():
        m_trim_threshold, m_mmap_threshold, m_mmap_max, largest = -1, -3, -4, 2**31 - 1
        if not libc.mallopt(m_mmap_threshold, largest):  # older versions have a small limit
            libc.mallopt(m_mmap_max, 0)
        libc.mallopt(m_trim_threshold, largest)


def give_back_freed_memory(device: torch.device) -> None:
    """Give the system back, once, what the C library keeps, on a CPU; to ask for it again costs
    time."""
    if device.type == "cpu" and (libc := _glibc()):
        libc.malloc_trim(0)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None

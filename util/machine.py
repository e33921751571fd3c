"""What this process may use of the machine, and has taken, as far as the system tells: cores,
memory, and the device that it runs on."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from util import distributed
from util.errors import UserError, warn
from util.lazy import torch

DEVICE_HELP = "auto, cpu, cuda, cuda:N or mps"
CGROUP = Path("/sys/fs/cgroup")  # of the container, or of the batch system's job


def cores() -> int:
    """Cores that the process may run on: its affinity, and the quota of its container."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota, _, period = _read(CGROUP / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        count = min(count, max(1, int(quota) // int(period)))
    return count or 1


def free_memory() -> float:
    """Bytes that may still be taken without swapping; inf where the system does not tell."""
    free = float("inf")
    for line in _read(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            free = float(line.split()[1]) * 1024
    limit, used = _read(CGROUP / "memory.max"), _read(CGROUP / "memory.current")
    if limit.isdigit() and used.isdigit():
        free = min(free, float(int(limit) - int(used)))
    return free


# What those say who could not get memory: torch's allocators, CUDA, cuDNN, cuBLAS, oneDNN, C++;
# also where so much was asked for that no number can hold it.
WANT_OF_MEMORY = re.compile(
    "out of memory|can.?t allocate memory|not enough memory|unable to allocate|could not allocate"
    "|failed to allocate"
    "|bad_alloc|bad allocation|ALLOC_FAILED|ALLOCATION_FAILED|unable to find an engine to execute"
    "|unable to find a valid cudnn algorithm|could not create a memory|calculation overflowed"
    "|multiplication overflow",
    re.IGNORECASE,
)
ASKED = re.compile(r"allocate ([\d.]+) ?(bytes|[KMGTPE]iB)")
# Flags that memory hangs on -> what they usually are, or less.
USUAL_SIZES = {
    "batch_size": 1, "crop_size": 256, "load_size": 286, "image_size": 512, "style_size": 512,
    "ngf": 64, "ndf": 64, "n_layers_D": 3, "pool_size": 50, "input_nc": 3, "output_nc": 3,
    "display_winsize": 256, "num_threads": 8,
}  # fmt: skip


class OutOfMemory(UserError):
    """There is less memory than was asked for, on the GPU or in the machine."""


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error tells that memory, of a GPU or of the machine, has run out, whoever raised
    it; also where a library has raised another one over it."""
    while error is not None:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        by_kind = isinstance(error, (MemoryError, OutOfMemory)) or "OutOfMemoryError" in kinds
        no_fork = isinstance(error, OSError) and error.errno == errno.ENOMEM
        by_words = isinstance(error, RuntimeError) and WANT_OF_MEMORY.search(str(error))
        if by_kind or no_fork or by_words:
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def want_of_memory(told: Callable[[Exception], UserError]) -> Iterator[None]:
    """Where memory runs out, raise what `told` makes of the error that says so."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise told(error) from error


def memory_errors(flags: Mapping[str, Any] | None = None) -> AbstractContextManager[None]:
    """Tell in one line that memory has run out, with the flags that help, by OutOfMemory.

    Args:
        flags: flag -> value, of the command.
    """
    return want_of_memory(
        lambda error: OutOfMemory(f"out of memory{_asked(error)}; {memory_advice(flags or {})}")
    )


def check_free_memory(needed: float, what: str) -> None:
    """Refuse what needs more bytes than the machine has free. Many systems promise any amount, and
    kill who comes to use it, without a word.

    Raises:
        MemoryError: there is less.
    """
    if needed > (free := free_memory()):
        raise MemoryError(f"{what} takes {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free")


def _asked(error: BaseException) -> str:
    """How much was asked for, where the error tells."""
    if isinstance(error, MemoryError) and "GiB" in str(error):
        return f": {error}"
    if not (found := ASKED.search(str(error))):
        return ""
    number, unit = float(found[1]), found[2]
    told = f"{number / 2**30:.1f} GiB" if unit == "bytes" else f"{number:g} {unit}"
    return f" ({told} more were asked for)"


def memory_advice(flags: Mapping[str, Any]) -> str:
    """Which flags would take less, first those that are the furthest above what is usual.

    Args:
        flags: flag -> value; those that a command does not have are not spoken of.
    """
    ratios = {}
    for flag, usual in USUAL_SIZES.items():
        value = flags.get(flag)
        value = max(value, default=None) if isinstance(value, (list, tuple)) else value
        if isinstance(value, int) and not isinstance(value, bool):
            ratios[flag] = value / usual
    preprocess = flags.get("preprocess", "")
    if "crop" not in preprocess:
        ratios.pop("crop_size", None)
    if "resize" not in preprocess and "scale" not in preprocess:
        ratios.pop("load_size", None)
    large = sorted((f for f in ratios if ratios[f] > 1), key=lambda f: -ratios[f])[:4]
    usual = [flag for flag in ("crop_size", "load_size", "image_size", "ngf") if flag in ratios]
    lower = [f"--{flag} (now {_plain(flags[flag])})" for flag in large or usual]
    on_gpu = str(flags.get("device", "")).startswith("cuda")
    half = on_gpu and flags.get("precision") in ("auto", "fp32", "tf32")
    add = ["--lean"] * (flags.get("lean") is False) + ["--precision bf16"] * half
    advice = [f"lower {' or '.join(lower)}"] if lower else []
    advice += [f"try {' or '.join(add)}"] if add else []
    return ", or ".join(advice) or "free some, or do less at a time"


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def memory(peak: bool = False) -> str:
    """GPU memory: the most that tensors took, on any GPU of this process. Without a GPU this
    process's share of the RAM, now or at its peak. Empty where it is not known."""
    if torch.cuda.is_initialized():
        return f"GPU {_peak_gpu_bytes() / 2**30:.1f} GiB"
    resident = _peak_bytes() if peak else _resident_bytes() or _peak_bytes()
    return f"RAM {resident / 2**30:.1f} GiB" if resident else ""


def peak_mib() -> int:
    """The most memory that this process has taken so far, in MiB: GPU memory of tensors as above,
    without a GPU its share of the RAM; 0 where it is not known."""
    return round((_peak_gpu_bytes() if torch.cuda.is_initialized() else _peak_bytes()) / 2**20)


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _peak_gpu_bytes() -> int:
    return max(map(torch.cuda.max_memory_allocated, range(torch.cuda.device_count())))


def _resident_bytes() -> int:
    with contextlib.suppress(OSError), open("/proc/self/statm") as sizes:  # Linux
        return int(sizes.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _peak_bytes() -> int:
    with contextlib.suppress(ImportError):  # Windows has none
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return 0


def resolve_device(device: str, gpu_ids: str | None) -> torch.device:
    """The device to run on.

    Args:
        device: auto (the best there is), cpu, cuda, cuda:N or mps.
        gpu_ids: old scripts' form, `-1` for the CPU, `0` or `0,1` for the first of them.

    Raises:
        UserError: the device is not there, or the two flags disagree.
    """
    if gpu_ids is not None:
        asked = _from_gpu_ids(gpu_ids)
        if device not in ("auto", asked):
            raise UserError(
                f"--gpu_ids {gpu_ids} asks for {asked}, --device for {device}; give one of the two"
            )
        device = asked
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise UserError(f"--device {device}: accepted: {DEVICE_HELP}")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu"
    if device == "cuda":
        device = f"cuda:{distributed.local_rank()}"
    if device.startswith("cuda") and not torch.cuda.is_available():
        flag = f"--gpu_ids {gpu_ids}" if gpu_ids is not None else f"--device {device}"
        raise UserError(f"{flag}: no GPU that torch can use here; use --gpu_ids -1 or --device cpu")
    if device == "mps" and not _has_mps():
        raise UserError("--device mps: not available here; use --device cpu")
    resolved = torch.device(device)
    if resolved.type == "cuda" and resolved.index >= torch.cuda.device_count():
        raise UserError(
            f"--device {device}: there are {torch.cuda.device_count()} GPUs, numbered from 0"
        )
    return resolved


def chosen_device(device: str, gpu_ids: str | None) -> torch.device:
    """`resolve_device`; of several that are asked for, it is said that one is used."""
    resolved = resolve_device(device, gpu_ids)
    several = resolved.type == "cuda" and "," in (gpu_ids or "")
    if several and distributed.world_size() == 1:
        warn(f"--gpu_ids {gpu_ids}: using {resolved}; for several GPUs use torchrun")
    return resolved


def _from_gpu_ids(gpu_ids: str) -> str:
    try:
        numbers = [int(part) for part in gpu_ids.split(",")]
    except ValueError:
        raise UserError(f"--gpu_ids {gpu_ids}: accepted: -1 (CPU), 0, 1, 0,1, ...") from None
    used = [number for number in numbers if number >= 0]
    return f"cuda:{used[distributed.local_rank() % len(used)]}" if used else "cpu"


def _has_mps() -> bool:
    return torch.backends.mps.is_available()

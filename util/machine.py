"""What this process may use of the machine, and has taken, as far as the system tells."""

import contextlib
import os
import sys
from pathlib import Path

from util.lazy import torch

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

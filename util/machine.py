"""What this process may use of the machine: cores and memory, as far as the system tells."""

import os
from pathlib import Path

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


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""

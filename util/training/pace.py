"""How fast a training goes, and what it takes."""

import contextlib
import math
import os
import sys

from util.lazy import torch

SHORT = {"images": "img", "steps": "step"}


class Pace:
    """Images a second, and the share of waiting; what is long past counts less.

    Args:
        horizon_s: seconds after which a step counts for 1/e.
    """

    def __init__(self, horizon_s: float = math.inf) -> None:
        self.horizon_s = horizon_s
        self.images = self.spent_s = self.waited_s = 0.0

    def add(self, images: int, spent_s: float, waited_s: float) -> None:
        """Count a step, and how much of its time went into waiting for data."""
        keep = math.exp(-spent_s / self.horizon_s)
        self.images = self.images * keep + images
        self.spent_s = self.spent_s * keep + spent_s
        self.waited_s = self.waited_s * keep + waited_s

    def per_s(self) -> float:
        """Images a second, once a step is counted."""
        return self.images / self.spent_s

    def wait_share(self) -> float:
        """Of the time, in [0, 1]."""
        return self.waited_s / self.spent_s

    def eta(self, images: int) -> str:
        """How long so many images will take."""
        return duration(images / self.per_s())


def duration(time_s: float) -> str:
    """0:42, 1:02:03, 3d 04h."""
    minutes, seconds = divmod(round(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 100:
        return f"{hours // 24}d {hours % 24:02d}h"
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def rate(per_s: float, unit: str) -> str:
    """12.3 img/s; what is slower than one a second is told the other way round: 4.0 s/img."""
    short = SHORT[unit]
    if per_s < 1:
        return f"{1 / per_s:.1f} s/{short}"
    return f"{per_s:.{0 if per_s >= 100 else 1}f} {short}/s"


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

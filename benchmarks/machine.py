"""What the machine is, and the most that it computes: the measure for everything else."""

import functools
import platform
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from benchmarks.timing import interleaved
from util.machine import cores

PRECISIONS = {
    "cpu": {"fp32": torch.float32, "bf16": torch.bfloat16},
    "cuda": {"fp32": torch.float32, "bf16": torch.bfloat16},
}


def facts(device: str) -> dict[str, str | int]:
    """The machine and the software, as people name them."""
    if device == "cuda":
        name = torch.cuda.get_device_name()
    else:
        name = platform.processor() or platform.machine()
        info = Path("/proc/cpuinfo")
        if info.exists():
            models = [line for line in info.read_text().splitlines() if "model name" in line]
            name = models[0].split(":")[1].strip() if models else name
    return {
        "device": device, "name": name, "cores": cores(), "torch": torch.__version__,
        "python": platform.python_version(),
    }  # fmt: skip


def measure(rounds: int, device: str) -> dict[str, list[float]]:
    """GFLOP/s of large matrix products and of a residual block's convolution, by precision."""
    cases, gflop = {}, {}
    for precision, dtype in PRECISIONS[device].items():
        n, px = (8192, 256) if device == "cuda" else (2048, 64)
        a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
        x = torch.randn(1, 256, px, px, device=device, dtype=dtype)
        x = x.to(memory_format=torch.channels_last)
        weight = torch.randn(256, 256, 3, 3, device=device, dtype=dtype)
        cases[f"matmul {precision}"] = functools.partial(done, torch.mm, a, b)
        gflop[f"matmul {precision}"] = 2 * n**3 / 1e9
        conv = functools.partial(F.conv2d, padding=1)
        cases[f"conv {precision}"] = functools.partial(done, conv, x, weight)
        gflop[f"conv {precision}"] = 2 * 256 * 256 * 9 * px * px / 1e9
    with torch.no_grad():
        times = interleaved(cases, rounds)
    return {name: [REPEATS * gflop[name] / s for s in values] for name, values in times.items()}


REPEATS = 5


def done(work: Callable, *args: torch.Tensor) -> None:
    """Some calls in a row, with the device's work done."""
    for _ in range(REPEATS):
        out = work(*args)
    if out.is_cuda:
        torch.cuda.synchronize()

"""From `--device` and `--gpu_ids` to the device of this process."""

from __future__ import annotations

import re

from util import distributed
from util.errors import UserError, warn
from util.lazy import torch

DEVICE_HELP = "auto, cpu, cuda, cuda:N or mps"


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

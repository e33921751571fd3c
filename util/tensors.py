"""Nested structures of tensors and plain values: found, moved, changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from util.lazy import torch


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """All tensors of a nested structure."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (dict, list, tuple)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from tensors_in(inner)


def tensors_to(value: Any, device: torch.device, copy: bool = False) -> Any:
    """The same structure with its tensors on a device, with `copy` in memory of their own."""
    return with_tensors(value, lambda tensor: tensor.detach().to(device, copy=copy))


def with_tensors(value: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    """The same structure with each tensor changed."""
    return with_kind(value, torch.Tensor, change)


def with_kind(value: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """The same structure with each value of a kind changed."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, dict):
        return {key: with_kind(inner, kind, change) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        changed = [with_kind(inner, kind, change) for inner in value]
        return type(value)(*changed) if hasattr(value, "_fields") else type(value)(changed)
    return value


def all_finite(tensors: Iterable[torch.Tensor]) -> bool:
    """Whether no number among floating-point tensors is NaN or infinite; waits for the device."""

    def finite(tensor: torch.Tensor) -> bool:
        # One bad number spoils the sum, which takes a tenth of the time; too large a sum does not
        # prove one.
        return bool(tensor.sum(dtype=torch.float32).isfinite() or tensor.isfinite().all())

    return all(finite(tensor) for tensor in tensors if tensor.is_floating_point())

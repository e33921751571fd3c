"""Batches of one image, put together to larger ones of images of one size."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from util.errors import UserError


def by_size(singles: Iterable[dict], most: int) -> Iterator[tuple[list[int], dict]]:
    """Take `most` batches of one image at a time, and put together those of one shape.

    Args:
        singles: dicts of tensors (1, ...), lists of one string, or of both.

    Yields: places in `singles`, and the batch. A batch that begins earlier comes earlier.

    Raises:
        UserError: from `singles`, after all that came before it.
    """
    first = 0
    for chunk in _chunks(singles, most):
        groups: dict[tuple, list[int]] = {}
        for place, single in enumerate(chunk):
            groups.setdefault(_shapes(single), []).append(place)
        for places in groups.values():
            yield [first + place for place in places], stack([chunk[place] for place in places])
        first += len(chunk)


def stack(values: list[Any]) -> Any:
    """Several values of one image each, as the loader would have made them of all."""
    if len(values) == 1:
        return values[0]
    one = values[0]
    if isinstance(one, torch.Tensor):
        return torch.cat(values)
    if isinstance(one, dict):
        return {name: stack([value[name] for value in values]) for name in one}
    if all(isinstance(item, str) for item in one):
        return [item for value in values for item in value]
    return [stack(list(items)) for items in zip(*values, strict=True)]


def _chunks(items: Iterable[dict], most: int) -> Iterator[list[dict]]:
    chunk, end = [], None
    iterator = iter(items)
    while end is None:
        try:
            chunk.append(next(iterator))
        except (StopIteration, UserError) as error:
            end = error
        if chunk and (end or len(chunk) == most):
            yield chunk
            chunk = []
    if isinstance(end, UserError):
        raise end


def _shapes(single: dict) -> tuple:
    return tuple(
        (name, value.shape) for name, value in single.items() if isinstance(value, torch.Tensor)
    )

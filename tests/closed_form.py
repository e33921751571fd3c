"""Weights and images from formulas: the figures of golden.json were computed with these.

A value depends on (salt, number of the tensor, number of the element) alone; all arithmetic is in
64 bits and rounded to float32 at the end.
"""

import math

import torch

BITS = 0xFFFFFFFF


def hashed(count: int, tensor_number: int, salt: int) -> torch.Tensor:
    """`count` values in [-0.5, 0.5), float64."""
    element = torch.arange(1, count + 1, dtype=torch.int64)
    state = (element * 0x9E3779B1 + tensor_number * 0x85EBCA77 + salt * 0xC2B2AE3D) & BITS
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        state = ((state ^ (state >> shift)) * factor) & BITS
    return (state ^ (state >> 16)).double() / 2**32 - 0.5


def fill_(net: torch.nn.Module, salt: int = 0) -> None:
    """Overwrite a network's floating-point weights and buffers in place."""
    for number, (name, tensor) in enumerate(net.state_dict().items()):
        if not tensor.is_floating_point():
            continue
        values, leaf = (
            hashed(tensor.numel(), number, salt).reshape(tensor.shape),
            name.split(".")[-1],
        )
        if leaf == "running_var" or (leaf == "weight" and tensor.dim() == 1):
            values = 1 + 0.2 * values
        elif leaf == "weight":  # standard deviation sqrt(2 / fan_in)
            values = values * math.sqrt(24 / tensor[0].numel())
        else:
            values = 0.04 * values
        tensor.copy_(values)


def image(n: int, c: int, h: int, w: int, salt: int = 0) -> torch.Tensor:
    """Waves and noise within [-1, 1], (n, c, h, w)."""
    i = torch.arange(n * c * h * w, dtype=torch.float64)
    waves = torch.sin(0.013 * i + 0.3 * salt) * torch.cos(0.0071 * i + 0.7 * salt)
    return (0.7 * waves + 0.6 * hashed(len(i), 0, 1000 + salt)).float().reshape(n, c, h, w)

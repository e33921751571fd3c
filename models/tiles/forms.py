"""From a call of a torch function to its `Local` form.

A form takes the sizes (1, C, H, W) of the call's images, and then what torch's function takes; it
gives None where a call is such that no part of an image decides its result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from models.compute import norms, rules, winograd
from models.tiles.local import Local, Noise, Norm, Picked, Shuffled, Spread, Window

Sizes = list[tuple[int, ...]]
Pair = tuple[int, int]


def _pair(value: Any) -> Pair:
    return (value, value) if isinstance(value, int) else tuple(value)


def _conv2d(
    sizes: Sizes, x: Any, weight: torch.Tensor, bias: torch.Tensor | None = None, stride: Any = 1,
    padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> Local | None:  # fmt: skip
    stride, dilation, kernel = _pair(stride), _pair(dilation), tuple(weight.shape[2:])
    if isinstance(padding, str):
        reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
        padding = [0 if padding == "valid" else side // 2 for side in reach]
        if any(padding) and any(side % 2 for side in reach):
            return None  # torch puts one pixel more at one end
    simple = kernel == (3, 3) and stride == dilation == (1, 1) and groups == 1

    def compute(tile: torch.Tensor) -> torch.Tensor:
        fp32_on_cpu = tile.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
        if simple and fp32_on_cpu and rules.winograd_pays(*weight.shape[:2], tile):
            return winograd.conv3x3(tile, weight, bias, (0, 0))
        return F.conv2d(tile, weight, bias, stride, 0, dilation, groups)

    window = Window(compute, kernel, stride, _pair(padding), dilation, sizes[0][2:])
    window.work = weight.numel()
    return window


def _conv_transpose2d(
    sizes: Sizes, x: Any, weight: torch.Tensor, bias: torch.Tensor | None = None, stride: Any = 1,
    padding: Any = 0, output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Local:  # fmt: skip
    def compute(tile: torch.Tensor, missing: list[int]) -> torch.Tensor:
        return F.conv_transpose2d(tile, weight, bias, stride, 0, missing, groups, dilation)

    how = _pair(stride), _pair(padding), _pair(dilation)
    spread = Spread(compute, tuple(weight.shape[2:]), *how, sizes[0][2:])
    spread.work = weight.numel() / math.prod(_pair(stride))
    return spread


def _pool(function: Callable[..., torch.Tensor]) -> Callable[..., Local | None]:
    def form(
        sizes: Sizes, x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, *more: Any,
        count_include_pad: bool = True, **options: Any,
    ) -> Local | None:  # fmt: skip
        kernel, stride = _pair(kernel_size), _pair(stride or kernel_size)
        dilation = _pair(options.pop("dilation", 1))
        if any(_pair(padding)) or dilation != (1, 1) or any(more) or any(options.values()):
            return None
        compute = lambda tile: function(tile, kernel, stride)  # noqa: E731
        return Window(compute, kernel, stride, (0, 0), dilation, sizes[0][2:])

    return form


def _pad(
    sizes: Sizes, x: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Local | None:
    left, right, top, bottom = [*pad, 0, 0][:4]
    height, width = sizes[0][2:]
    if mode == "constant" and min(pad) >= 0 and not value and len(pad) <= 4:
        # A window of one pixel that begins outside of the image.
        return Window(lambda tile: tile, (1, 1), (1, 1), (top, left), (1, 1), (height, width))
    edges = {"reflect": _mirrored, "replicate": _repeated}.get(mode)
    if edges is None or min(pad) < 0 or len(pad) > 4:
        return None
    return Picked(edges(height, top, bottom), edges(width, left, right))


def _mirrored(side: int, before: int, after: int) -> torch.Tensor:
    places = torch.arange(-before, side + after).abs()
    return torch.where(places < side, places, 2 * (side - 1) - places)


def _repeated(side: int, before: int, after: int) -> torch.Tensor:
    return torch.arange(-before, side + after).clamp(0, side - 1)


def _interpolate(
    sizes: Sizes, x: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    **options: Any,
) -> Local | None:  # fmt: skip
    old = sizes[0][2:]
    if size is None:
        factors = scale_factor if isinstance(scale_factor, (tuple, list)) else [scale_factor] * 2
        size = [side * factor for side, factor in zip(old, factors, strict=True)]
    new = [int(side) for side in _pair(size)]
    if mode != "nearest" or any(to % of for to, of in zip(new, old, strict=True)):
        return None
    return Picked(*(torch.arange(to) * of // to for to, of in zip(new, old, strict=True)))


def _getitem(sizes: Sizes, x: Any, key: Any) -> Local | None:
    parts = list(key) if isinstance(key, tuple) else [key]
    if Ellipsis in parts:
        at = parts.index(Ellipsis)
        parts[at : at + 1] = [slice(None)] * (5 - len(parts))
    parts += [slice(None)] * (4 - len(parts))
    if not all(isinstance(part, slice) for part in parts):
        return None
    kept = [torch.arange(side)[part] for side, part in zip(sizes[0], parts, strict=True)]
    same = [len(places) == side for places, side in zip(kept, sizes[0], strict=True)]
    if all(same[:2]):
        return Picked(*kept[2:])
    return Local(lambda tile: tile[:, parts[1]]) if all(same[2:]) else None


def _instance_norm(
    sizes: Sizes, x: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None,
    bias: Any = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Local:  # fmt: skip
    return _batch_norm(
        sizes, x, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
    )


def _batch_norm(
    sizes: Sizes, x: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Local:  # fmt: skip
    if training:
        return Norm(weight, bias, eps)
    known = running_mean, running_var, weight, bias
    return Local(lambda tile: F.batch_norm(tile, *known, False, 0.0, eps))


def _group_norm(
    sizes: Sizes, x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5,
    *switches: Any,
) -> Local:  # fmt: skip
    return Norm(weight, bias, eps, num_groups)


def _dropout(
    sizes: Sizes, x: Any, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Local:
    if not training or p == 0:
        return Local(lambda tile: tile)
    return Noise(p, lambda shape: [torch.empty(*shape).bernoulli_(1 - p)])


def _own_noise(sizes: Sizes, layer: nn.Dropout, x: Any, source: norms.NoiseSource) -> Local:
    if not layer.training or len(source.generators) != 1:
        return _dropout(sizes, x, layer.p, layer.training)
    return Noise(layer.p, lambda shape: source.draw_groups(torch.Size(shape), layer.p))


def _cat(sizes: Sizes, tensors: Any, dim: int = 0) -> Local | None:
    alike = all(size[2:] == sizes[0][2:] for size in sizes) and len(tensors) == len(sizes)
    return Local(lambda *tiles: torch.cat(tiles, 1)) if dim in (1, -3) and alike else None


TABLE: dict[str, Callable[..., Local | None]] = {
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "avg_pool2d": _pool(F.avg_pool2d),
    "max_pool2d": _pool(F.max_pool2d),
    "pad": _pad,
    "interpolate": _interpolate,
    "getitem": _getitem,
    "instance_norm": _instance_norm,
    "batch_norm": _batch_norm,
    "group_norm": _group_norm,
    "dropout": _dropout,
    "own_noise": _own_noise,
    "cat": _cat,
    "pixel_shuffle": lambda sizes, x, upscale_factor: Shuffled(upscale_factor),
}
# Functions of torch and of torch.nn.functional, and methods: each pixel for itself.
POINTWISE = {
    "relu", "leaky_relu", "prelu", "elu", "selu", "gelu", "silu", "mish", "softplus", "hardtanh",
    "relu6", "tanh", "sigmoid", "hardsigmoid", "hardswish", "clamp", "clip", "abs", "neg", "exp",
    "sqrt", "rsqrt", "square", "pow", "add", "radd", "iadd", "sub", "rsub", "isub", "mul", "rmul",
    "imul", "div", "truediv", "rtruediv", "itruediv", "maximum", "minimum", "float", "to",
    "contiguous", "clone", "detach",
}  # fmt: skip


def local_form(
    func: Callable, args: tuple, kwargs: dict[str, Any], is_value: Callable[[Any], bool],
) -> Local | None:  # fmt: skip
    """How a call is computed on parts; None if it cannot be.

    Args:
        func: one of torch's.
        args, kwargs: of the call.
        is_value: whether an argument is a value of the forward, (1, C, H, W).
    """
    sizes = [tuple(value.shape) for value in values_in((args, kwargs), is_value)]
    name = func.__name__.strip("_")
    if name in TABLE:
        try:
            return TABLE[name](sizes, *args, **kwargs)
        except (TypeError, ValueError, IndexError):  # arguments that are not known here
            return None
    return _pointwise(func, args, kwargs, is_value) if name in POINTWISE else None


def _pointwise(
    func: Callable, args: tuple, kwargs: dict[str, Any], is_value: Callable[[Any], bool]
) -> Local | None:
    """A function of values and constants; these are the same for all pixels."""
    options = {key: value for key, value in kwargs.items() if key != "inplace"}
    constants = [a for a in (*args, *options.values())
                 if isinstance(a, torch.Tensor) and not is_value(a)]  # fmt: skip
    sizes = {tuple(value.shape[2:]) for value in values_in((args, options), is_value)}
    per_channel = all(c.dim() <= 1 or set(c.shape[-2:]) == {1} for c in constants)
    vectors = any(c.dim() == 1 and len(c) > 1 for c in constants)
    if len(sizes) > 1 or not per_channel or (vectors and func.__name__ != "prelu"):
        return None
    in_place = func.__name__.endswith("_") and not func.__name__.startswith("__")
    in_place = in_place or func.__name__.startswith("__i")

    def compute(*tiles: torch.Tensor) -> torch.Tensor:
        rest = iter(tiles)
        given = [next(rest) if is_value(a) else a for a in args]
        named = {key: next(rest) if is_value(a) else a for key, a in options.items()}
        if in_place:
            given[0] = given[0].clone()
        return func(*given, **named)

    return Local(compute)


def values_in(nested: Any, is_value: Callable[[Any], bool]) -> list[Any]:
    """The values of the forward among nested arguments, in order."""
    if is_value(nested):
        return [nested]
    if isinstance(nested, dict):
        nested = list(nested.values())
    if isinstance(nested, (list, tuple)):
        return [value for inner in nested for value in values_in(inner, is_value)]
    return []

"""What a network computes, written down step by step, so that it can be computed in parts.

    program = record(net, (1, 3, 8192, 8192))

The forward runs once, on an image that has a size but no values: Python decides as it does for
images of this size, and every torch function that meets the image is one `Step`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn

from models.tiles.forms import local_form, values_in
from models.tiles.local import Local
from util.errors import UserError
from util.tensors import tensors_in, with_tensors

Shape = tuple[int, ...]


class CannotTile(UserError):
    """A network computes something that a part of an image does not decide."""


class Step(NamedTuple):
    """One function of the forward.

    Args:
        inputs: numbers of the values that it takes; 0 is the image, i what step i - 1 gives.
        local: how a part of its output follows from parts of its inputs.
        shape: of its output, (1, C, H, W).
    """

    inputs: tuple[int, ...]
    local: Local
    shape: Shape


class Program(NamedTuple):
    """The steps in the order of the forward.

    Args:
        image: shape of the image, (1, C, H, W).
        steps: of the forward; value i is what steps[i - 1] gives.
        output: number of the value that the network gives.
    """

    image: Shape
    steps: list[Step]
    output: int

    def shape(self, value: int) -> Shape:
        """(1, C, H, W) of a value."""
        return self.steps[value - 1].shape if value else self.image

    def users(self, value: int) -> list[int]:
        """The values that are computed from one."""
        return [number for number, step in enumerate(self.steps, 1) if value in step.inputs]


def record(net: nn.Module, shape: Shape, **options: Any) -> Program:
    """What a network does with one image.

    Args:
        net: its layers may have other forms (`models.compute.configure`); those of the network as
            a whole, number format and compilation, are left out.
        shape: (1, C, H, W) of the image.
        options: further arguments of its forward.

    Raises:
        CannotTile: a step needs more than parts of its inputs.
    """
    recorder = _Recorder(type(net).__name__)
    with torch.no_grad():
        output = type(net).forward(net, recorder.new_value(0, shape), **options)
    if not isinstance(output, _Value):
        raise CannotTile(f"{recorder.name} gives no image, but {type(output).__name__}: --tile off")
    return Program(shape, recorder.steps, output.number)


class _Value(torch.Tensor):
    """A value of the forward: a shape on the meta device. What is done with it is taken down."""

    recorder: _Recorder
    number: int

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        recorder = values_in((args, kwargs), _is_value)[0].recorder
        return recorder.call(func, args, kwargs or {})


def _is_value(argument: Any) -> bool:
    return isinstance(argument, _Value)


class _Recorder:
    """Takes down one forward.

    Args:
        name: of the network, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps: list[Step] = []

    def new_value(self, number: int, shape: Shape) -> _Value:
        """A value that later calls may take."""
        value = torch.empty(shape, device="meta").as_subclass(_Value)
        value.recorder, value.number = self, number
        return value

    def call(self, func: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
        """A call that takes a value; returns what the forward goes on with."""
        with torch._C.DisableTorchFunctionSubclass():
            if func.__name__.startswith("new_"):  # numbers that do not depend on the image
                return getattr(torch.empty(0), func.__name__)(*args[1:], **kwargs)
            drawn = isinstance(args[0], nn.Module)  # noise, by `norms.own_noise`
            result = args[1] if drawn else func(*_bare(args), **_bare(kwargs))
        if not list(tensors_in(result)):
            return result  # a size, a type, a device
        local = None
        if isinstance(result, torch.Tensor) and result.dim() == 4:
            local = local_form(func, args, kwargs, _is_value)
        if local is None:
            raise CannotTile(
                f"{self.name} computes {func.__name__!r}, of which a part of an image does not "
                "tell the result: it cannot be computed in tiles; use --tile off"
            )
        values = values_in((args, kwargs), _is_value)
        inputs = tuple(value.number for value in values)
        self.steps.append(Step(inputs, local, tuple(result.shape)))
        if not _works_in_place(func, kwargs):
            return self.new_value(len(self.steps), tuple(result.shape))
        values[0].number = len(self.steps)  # whoever holds it holds the new one from now on
        return values[0]


def _works_in_place(func: Any, kwargs: dict[str, Any]) -> bool:
    name = func.__name__
    method = name.endswith("_") and not name.startswith("__")
    return method or name.startswith("__i") or bool(kwargs.get("inplace"))


def _bare(arguments: Any) -> Any:
    """The same arguments as shapes on the meta device."""
    return with_tensors(arguments, lambda t: t.as_subclass(torch.Tensor).to("meta"))

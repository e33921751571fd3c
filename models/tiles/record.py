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
        local: how a part of its output follows from parts of its inputs; None: it does not.
        shape: of its output, (1, C, H, W).
    """

    inputs: tuple[int, ...]
    local: Local | None
    shape: Shape


class Program(NamedTuple):
    """The steps in the order of the forward.

    Args:
        image: shape of the image, (1, C, H, W).
        steps: of the forward; value i is what steps[i - 1] gives.
        output: number of the value that the network gives.
        problem: why it cannot be computed in parts; empty: it can.
    """

    image: Shape
    steps: list[Step]
    output: int
    problem: str = ""

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
    program = sketch(net, shape, **options)
    if program.problem:
        raise CannotTile(f"{program.problem}; use --tile off, or a smaller image")
    return program


def sketch(net: nn.Module, shape: Shape, **options: Any) -> Program:
    """`record` also of a network that cannot be computed in parts: the steps up to where it failed
    on an image without values, which tell how much memory it takes."""
    recorder = _Recorder(type(net).__name__)
    output, problem = None, ""
    try:
        with torch.no_grad():
            output = type(net).forward(net, recorder.new_value(0, shape), **options)
    except Exception as error:  # of a forward that asks for values, or of a wrong size
        problem = (
            f"{recorder.name} cannot be followed on an image of {shape[3]}x{shape[2]} px without "
            f"values ({' '.join(str(error).split()) or type(error).__name__})"
        )
    if not problem and not isinstance(output, _Value):
        problem = f"{recorder.name} gives no image, but {type(output).__name__}"
    number = output.number if isinstance(output, _Value) else len(recorder.steps)
    return Program(shape, recorder.steps, number, recorder.problem or problem)


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
        self.problem = ""  # why the forward cannot be computed in parts: the first there is

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
        if local is None and not self.problem:
            self.problem = (
                f"{self.name} computes {func.__name__!r}, of which a part of an image does not "
                "tell the result: it cannot be computed in tiles"
            )
        values = values_in((args, kwargs), _is_value)
        inputs = tuple(value.number for value in values)
        if isinstance(result, torch.Tensor) and _works_in_place(func, kwargs):
            values[0].number = self.add(inputs, local, result)
            return values[0]  # whoever holds it holds the new one from now on
        new = lambda t: self.new_value(self.add(inputs, local, t), tuple(t.shape))  # noqa: E731
        return with_tensors(result, new)

    def add(self, inputs: tuple[int, ...], local: Local | None, result: torch.Tensor) -> int:
        """Take down a step; returns the number of what it gives."""
        self.steps.append(Step(inputs, local, tuple(result.shape)))
        return len(self.steps)


def _works_in_place(func: Any, kwargs: dict[str, Any]) -> bool:
    name = func.__name__
    method = name.endswith("_") and not name.startswith("__")
    return method or name.startswith("__i") or bool(kwargs.get("inplace"))


def _bare(arguments: Any) -> Any:
    """The same arguments as shapes on the meta device."""
    return with_tensors(arguments, lambda t: t.as_subclass(torch.Tensor).to("meta"))

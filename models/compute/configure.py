"""The one way in which this project changes how a network computes, and takes it back.

A layer, or a network as a whole, computes in another *form*: a function that stands in its
`forward`. What it is stays: parameters, state_dict keys, type; a deep copy computes with its own
layers. TABLE says which layers have which form; `changes(net)` lists them, `undo(net)` gives
torch's own layers back. Forms cannot be pickled: `undo` comes before pickling a whole network.
"""

import contextlib
import types
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import nn

from models.compute import fast_layers, norms, rules
from models.compute.compiled import compiled
from models.compute.precision import DTYPES, LossScale, check_precision, in_half

Forward = Callable[..., object]  # takes the layer, and then what the layer takes

# Why a layer computes in another form; of several forms the first is the innermost.
PURPOSES = (
    "memory_format", "speed", "test", "steady", "noise", "precision", "tiles", "compile", "export",
)  # fmt: skip


class Row(NamedTuple):
    """Layers that have another form.

    purpose: one of PURPOSES.
    name: of the form, for `changes`.
    takes: whether a layer has it.
    form: takes the layer, its input and what `exchange_layers` was given.
    """

    purpose: str
    name: str
    takes: Callable[[nn.Module], bool]
    form: Forward


TABLE = (
    Row("speed", "norm without a copy", fast_layers.takes_instance_norm, fast_layers.instance_norm),
    Row("speed", "Winograd", fast_layers.takes_winograd, fast_layers.winograd_conv),
    Row("speed", "matrix product", fast_layers.takes_halving, fast_layers.halving),
    Row("speed", "matrix product", fast_layers.takes_doubling, fast_layers.doubling),
    Row("test", "each image's statistics", norms.is_batch_norm, norms.own_statistics),
    Row("noise", "each image's noise", norms.drops, norms.own_noise),
    Row("export", "each image's statistics", norms.is_batch_norm, norms.statistics_in_one),
    Row("export", "no noise", norms.drops, norms.no_noise),
)


class Form(NamedTuple):
    """How a layer computes, for a purpose: `around(forward)` stands in the place of `forward`."""

    purpose: str
    name: str
    around: Callable[[Forward], Forward]


def configure_all(
    nets: Iterable[nn.Module], device: torch.device, precision: str, memory_format: str,
    compiles: bool, fixed_size: bool,
) -> LossScale | None:  # fmt: skip
    """`configure` the networks of a model.

    Returns: the scale that they share in fp16.

    Raises:
        UserError: the device does not compute in this precision.
    """
    check_precision(precision, device)
    scale = LossScale(device) if precision == "fp16" else None
    for net in nets:
        configure(net, device, precision, memory_format, compiles, fixed_size, scale)
    return scale


def configure(
    net: nn.Module, device: torch.device, precision: str = "auto", memory_format: str = "auto",
    compiles: bool = False, fixed_size: bool = False, scale: LossScale | None = None,
) -> None:  # fmt: skip
    """Let a network compute as the options say, whatever it was configured for before.

    Args:
        net: on its device.
        precision: one of PRECISIONS; memory_format: one of MEMORY_FORMATS.
        compiles: by torch.compile, at the first call.
        fixed_size: whether all images have one size.
        scale: of fp16's gradients, inside of the network only.
    """
    undo(net)
    if memory_format == "auto":
        memory_format = rules.choose_memory_format(net, device, precision)
    if memory_format == "channels_last":
        net.to(memory_format=torch.channels_last)
        exchange(net, Form("memory_format", "channels_last", lambda forward: forward))
    exchange_layers(net, "speed")
    if precision in DTYPES:
        dtype = DTYPES[precision]
        exchange(net, Form("precision", precision, lambda forward: in_half(forward, dtype, scale)))
    if compiles:
        graphs = device.type == "cuda" and fixed_size
        form = Form("compile", "", lambda forward: compiled(forward, graphs, fixed_size))
        exchange(net, form._replace(name="CUDA graphs" if graphs else "torch.compile"))


class Changed(NamedTuple):
    """What stands in a layer whose `forward` is exchanged.

    own: a `forward` that somebody had put into the layer before; it is computed by, and comes back.
    """

    forms: tuple[Form, ...]
    own: Forward | None


def exchange_layers(net: nn.Module, purpose: str, *more: object) -> None:
    """Give the layers of a network the forms that TABLE has for a purpose; not those into which
    somebody has put a `forward` of his own.

    Args:
        more: what these forms take besides.
    """
    for layer in net.modules():
        for row in TABLE if _own_forward(layer) is None else ():
            if row.purpose == purpose and row.takes(layer):
                exchange(layer, Form(row.purpose, row.name, lambda _, row=row: _with(row, more)))


def _with(row: Row, more: tuple) -> Forward:
    if not more:
        return row.form
    return lambda layer, *inputs: row.form(layer, *inputs, *more)


def exchange(layer: nn.Module, form: Form) -> None:
    """Let a layer compute in a form; one that it has for the same purpose goes."""
    others = [one for one in forms(layer) if one.purpose != form.purpose]
    _set_forms(layer, [*others, form])


def forms(layer: nn.Module) -> tuple[Form, ...]:
    """In which forms a layer itself computes; none: as its class says."""
    changed = vars(layer).get("_changed")
    return changed.forms if changed else ()


def _own_forward(layer: nn.Module) -> Forward | None:
    changed = vars(layer).get("_changed")
    return changed.own if changed else vars(layer).get("forward")


def _call_own(layer: nn.Module, *inputs: object, **options: object) -> object:
    return layer._changed.own(*inputs, **options)


def _set_forms(layer: nn.Module, wanted: Iterable[Form]) -> None:
    own = _own_forward(layer)
    vars(layer).pop("_changed", None)
    vars(layer).pop("forward", None)
    if wanted := tuple(sorted(wanted, key=lambda form: PURPOSES.index(form.purpose))):
        forward = type(layer).forward if own is None else _call_own
        for form in wanted:
            forward = form.around(forward)
        layer._changed = Changed(wanted, own)
        layer.forward = types.MethodType(forward, layer)  # a method: a deep copy calls its own
    elif own is not None:
        layer.forward = own


def changes(net: nn.Module) -> list[str]:
    """What was done to a network: "<layer>: <purpose>, <form>", the whole network as "network"."""
    return [
        f"{name or 'network'}: {form.purpose}, {form.name}"
        for name, layer in net.named_modules()
        for form in forms(layer)
    ]


def undo(net: nn.Module, *purposes: str) -> None:
    """Take back what was done to a network for some purposes; without any, all of it."""
    undone = purposes or PURPOSES
    if "memory_format" in undone and any(f.purpose == "memory_format" for f in forms(net)):
        net.to(memory_format=torch.contiguous_format)
    for layer in net.modules():
        rest = [form for form in forms(layer) if form.purpose not in undone]
        if len(rest) < len(forms(layer)):  # a compiled network would be compiled once more
            _set_forms(layer, rest)


def set_test_mode(nets: Iterable[nn.Module], eval_mode: bool) -> str:
    """Set norms and dropout of networks for test, and say how.

    Args:
        eval_mode: running statistics and no dropout. Else both as in training (pix2pix, section
            3.4), batch norm by each image's own statistics, so that a picture does not depend on
            its neighbours in the batch.
    """
    modules = []
    for net in nets:
        leave_test_mode(net, training=not eval_mode)
        if not eval_mode:
            exchange_layers(net, "test")
        modules += net.modules()
    kinds = sorted({type(m).__name__ for m in modules if "Norm" in type(m).__name__})
    norm_layers = " and ".join(kinds) or "no norm layers"
    if eval_mode:
        return f"{norm_layers} by running statistics if it has any, no dropout (--eval)"
    own = any(form.purpose == "test" for module in modules for form in forms(module))
    norm_layers += " by each image's own statistics" if own else ""
    dropout = any(norms.drops(module) for module in modules)
    return f"{norm_layers}, {'dropout on, as in training' if dropout else 'no dropout'}"


def leave_test_mode(net: nn.Module, training: bool) -> None:
    """Norms and dropout as torch has them, in training or not."""
    undo(net, "test", "noise")
    net.train(training)


@contextlib.contextmanager
def image_noise(nets: Iterable[nn.Module], device: torch.device) -> Iterator[norms.NoiseSource]:
    """Within, dropout draws for each image apart, so that its noise does not depend on neighbours
    in the batch: by the seeds that the source is given for each batch."""
    nets, source = list(nets), norms.NoiseSource(device)
    for net in nets:
        exchange_layers(net, "noise", source)
    try:
        yield source
    finally:
        for net in nets:
            undo(net, "noise")

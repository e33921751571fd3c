"""Weights and training state on disk, in the published layout: <epoch>_net_<X>.pth."""

from __future__ import annotations

import contextlib
import functools
import io
import pickletools
import re
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from typing import Any

from util import atomic
from util.checkpoints.exports import WEIGHTS, is_export
from util.checkpoints.unwrap import Score, is_safetensors, unwrapped, what_it_is
from util.errors import UserError, did_you_mean, warn
from util.lazy import Lazy, nn, torch
from util.tensors import all_finite

safetensors = Lazy("safetensors.torch")

# (the network's own weights, those of the file) -> how they differ, and what to do.
Explain = Callable[[dict, dict], str]
ALL_FLAGS = (
    "give the flags it was trained with: --netG --norm --ngf --input_nc --output_nc --no_dropout"
)
PUBLISHED = re.compile(r"([^.].*?)_net_(\w+)\.(?:pth|safetensors)")
WRAPPER_PREFIXES = ("module.", "_orig_mod.")
OLD_INSTANCE_NORM_KEYS = ("running_mean", "running_var", "num_batches_tracked")


def epoch_label(epoch: str | int, load_iter: int = 0) -> str:
    """The first part of a checkpoint's file names, from `--epoch` and `--load_iter`."""
    return f"iter_{load_iter}" if load_iter > 0 else str(epoch)


def weights_path(folder: str | Path, epoch: str | int, name: str) -> Path:
    """Where the network `name` (G, D_A, ...) of an epoch (5, latest, iter_400) is kept: a .pth
    file, or a .safetensors file where there is no other. A hub's folder holds one G.

    Raises:
        UserError: the two make no name of a file in the folder.
    """
    path = atomic.inside(folder, f"{epoch}_net_{name}.pth", what="weights")
    other = path.with_suffix(".safetensors")
    if name == "G" and not path.is_file() and not other.is_file() and is_export(folder):
        return Path(folder, WEIGHTS)
    return other if other.is_file() and not path.is_file() else path


def save_file(obj: Any, path: Path) -> None:
    """torch.save that appears under its name only when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(path, to_bytes(obj))


def to_bytes(obj: Any) -> bytes:
    """What torch.save writes. In memory first: it turns a full disk into an obscure error."""
    buffer = io.BytesIO()
    torch.save(obj, buffer)
    return buffer.getvalue()


def load_file(path: Path, device: torch.device | str = "cpu") -> Any:
    """torch.load that runs no code from the file; `.safetensors` files too.

    Raises:
        UserError: no such file (with the epochs that there are), or not a file of weights.
    """
    atomic.refuse_special(path)
    if not path.is_file():
        atomic.refuse_no_folder(path.parent, "--name")
        raise UserError(f"{path}: no such checkpoint; {_what_is_there(path)}")
    kind, remedy = what_it_is(path)
    if kind:
        raise UserError(f"{path}: cannot be read as weights: it is {kind}; {remedy}")
    try:
        if path.suffix == ".safetensors" or is_safetensors(path):
            return safetensors.load_file(path, device=str(device))
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # of any kind: the bytes decide what goes wrong
        if code := _code_in(path, str(error)):
            raise UserError(
                f"{path}: refused: holds code ({code}), where only tensors and plain values are "
                "accepted; where that code is: torch.save(net.state_dict(), FILE)"
            ) from error
        reason = str(error).strip().splitlines()[:1]
        if "weights_only" in "".join(reason):
            reason = ["not a file that torch.save writes"]
        raise UserError(
            f"{path}: cannot be read as weights ({''.join(reason)[:120]}); "
            "it may be damaged, or hold more than tensors"
        ) from error


def _code_in(path: Path, message: str) -> str:
    """What a refused file would have run, from torch's message or, where that does not say it, from
    a look at the pickle's opcodes, which runs nothing."""
    if found := re.search(r"GLOBAL ([\w.]+)", message):
        return found[1]
    strings: list[str] = []
    with contextlib.suppress(Exception):  # any bytes at all
        for opcode, argument, _ in pickletools.genops(path.read_bytes()):
            if opcode.name in ("GLOBAL", "INST"):
                return argument.replace(" ", ".")
            if opcode.name == "STACK_GLOBAL":
                return ".".join(strings[-2:])
            if isinstance(argument, str):
                strings.append(argument)
    return ""


def safetensors_bytes(
    weights: dict[str, torch.Tensor], metadata: dict[str, str] | None = None
) -> bytes:
    """A state_dict in the safetensors format."""
    return safetensors.save({key: value.contiguous() for key, value in weights.items()}, metadata)


def published(folder: str | Path) -> dict[tuple[str, str], Path]:
    """(label, network's name) -> file, of the weights in a run's folder; without what other
    programs have put beside them (copies of a sync tool, folders, hidden files)."""
    files = sorted(Path(folder).glob("*_net_*"))
    names = ((PUBLISHED.fullmatch(file.name), file) for file in files)
    return {(found[1], found[2]): file for found, file in names if found and file.is_file()}


def saved_epochs(folder: Path, name: str) -> list[str]:
    """Epochs for which the folder holds the network `name`, numbers first, in order."""
    labels = [label for label, network in published(folder) if network == name]
    return sorted(labels, key=lambda label: (not label.isdigit(), label.zfill(12)))


def _what_is_there(path: Path) -> str:
    if not path.parent.is_dir():
        runs = sorted(p.name for p in path.parent.parent.glob("*") if p.is_dir())
        there = (", ".join(runs) or "none") + did_you_mean(path.parent.name, runs)
        return f"runs in {path.parent.parent}: {there} (--name, --checkpoints_dir)"
    match = re.match(r".+?_net_(.+)\.pth$", path.name)
    epochs = saved_epochs(path.parent, match[1]) if match else []
    if epochs:
        return f"--epoch accepts here: {', '.join(epochs)}"
    files = sorted(p.name for p in path.parent.glob("*.pth"))
    return f"weights in {path.parent}: {', '.join(files) or 'none'}"


def without_prefix(key: str, known: Container[str] = ()) -> str:
    """A key without what DataParallel or a compiled module put before it, unless it is `known`."""
    while key not in known and key.startswith(WRAPPER_PREFIXES):
        key = key.split(".", 1)[1]
    return key


def clean_state_dict(state_dict: dict, net: nn.Module) -> dict:
    """As `net` expects it: without prefixes of DataParallel or compiled modules, without the
    statistics that InstanceNorm kept before 2018, with BatchNorm's counter where it is absent."""
    cleaned, own = {}, net.state_dict()
    for key, value in state_dict.items():
        cleaned[without_prefix(key, own)] = value
    for module_name, module in net.named_modules():
        if isinstance(module, nn.InstanceNorm2d) and not module.track_running_stats:
            for leaf in OLD_INSTANCE_NORM_KEYS:
                cleaned.pop(f"{module_name}.{leaf}", None)
        counter = f"{module_name}.num_batches_tracked"
        if isinstance(module, nn.BatchNorm2d) and f"{module_name}.running_mean" in cleaned:
            cleaned.setdefault(counter, own[counter])  # absent before torch 0.4.1
    return cleaned


def load_state_dict(
    path: Path, device: torch.device | str = "cpu", network: str = "", score: Score | None = None
) -> dict[str, Any]:
    """A file's name -> tensor, also where they are wrapped; see `unwrapped`. UserError if it holds
    something else."""
    return unwrapped(load_file(path, device), path, network, score)


def fit_of(net: nn.Module, state_dict: dict) -> int:
    """How well weights fit a network, as `load_state_dict` takes it: tensors of its names and
    shapes, and best if there are no others."""
    own, given = net.state_dict(), clean_state_dict(state_dict, net)
    matching = sum(key in own and shape_of(v) == shape_of(own[key]) for key, v in given.items())
    return 2 * matching + (given.keys() == own.keys()) if matching else 0


def load_weights(
    net: nn.Module,
    path: Path,
    device: torch.device | str = "cpu",
    network: str = "",
    explain: Explain | None = None,
    finite: bool = False,
) -> None:
    """Fill a network from a file.

    Args:
        network: its name: G, D_A, ...
        explain: what to say of another network's weights.
        finite: refuse weights that are not.

    Raises:
        UserError: the file is missing, unreadable, or of another network.
    """
    found = load_state_dict(path, device, network, functools.partial(fit_of, net))
    state_dict = clean_state_dict(found, net)
    own = {key: shape_of(value) for key, value in net.state_dict().items()}
    given = {key: shape_of(value) for key, value in state_dict.items()}
    if own != given:
        what = explain(net.state_dict(), state_dict) if explain else ALL_FLAGS
        raise UserError(f"{path}: of another network ({difference(own, given)}); {what}")
    net.load_state_dict(as_numbers_of(net, state_dict, path, finite))


def as_numbers_of(net: nn.Module, state_dict: dict, path: Path, finite: bool) -> dict:
    """Weights in the number formats of the network that takes them; said where that is a change.

    Args:
        finite: refuse NaN and infinity, where the network's own numbers are finite.

    Raises:
        UserError: numbers that cannot stand for the network's: whole, complex or quantized ones
            for fractions.
    """
    own, converted, fitting = net.state_dict(), set(), {}
    for key, value in state_dict.items():
        if not isinstance(value, torch.Tensor) or key not in own:
            fitting[key] = value
            continue
        if what := _unusable(value, own[key].dtype):
            raise UserError(
                f"{path}: {key} holds {what} where the network has {_type(own[key].dtype)}; save "
                "the weights as floats"
            )
        fitting[key] = value.to(own[key].dtype)
        if value.dtype != own[key].dtype and value.is_floating_point():
            converted.add(f"{_type(value.dtype)} converted to {_type(own[key].dtype)}")
        bad = not all_finite([fitting[key]])
        if bad and all_finite([own[key]]) and (finite or all_finite([value])):
            raise UserError(
                f"{path}: {key} holds numbers that are not finite, or too large for "
                f"{_type(own[key].dtype)}; take the weights of an earlier epoch"
            )
    if converted:
        warn(f"{path}: numbers of {', '.join(sorted(converted))}")
    return fitting


def _unusable(value: torch.Tensor, wanted: torch.dtype) -> str:
    """What numbers a tensor has that cannot stand for those of `wanted`; empty if they can."""
    if value.is_quantized or value.layout != torch.strided or value.is_meta:
        return "quantized numbers" if value.is_quantized else f"a tensor of {value.layout}"
    if value.dtype == wanted or value.is_floating_point():
        return ""  # a counter may have been converted together with the weights
    whole = not value.is_complex() and value.dtype != torch.bool
    return "" if whole and not (wanted.is_floating_point or wanted.is_complex) else (
        f"numbers of {_type(value.dtype)}"
    )  # fmt: skip


def _type(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def shape_of(value: Any) -> tuple:
    """A tensor's shape; of anything else, the name of its type."""
    return tuple(value.shape) if isinstance(value, torch.Tensor) else (type(value).__name__,)


def difference(own: dict[str, tuple], given: dict[str, tuple]) -> str:
    """How names and shapes of weights differ from a network's own, for people."""
    missing, foreign = own.keys() - given.keys(), given.keys() - own.keys()
    reshaped = [key for key in own.keys() & given.keys() if own[key] != given[key]]

    def count(what: str, keys: Iterable[str]) -> str:
        keys = sorted(keys)
        return f"{len(keys)} {what}, e.g. {keys[0]}" if keys else ""

    parts = (
        count("missing", missing),
        count("unknown", foreign),
        count("of another shape", reshaped),
    )
    return "; ".join(part for part in parts if part)

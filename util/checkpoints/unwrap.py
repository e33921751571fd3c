"""Weights from elsewhere: taken out of what they are wrapped in; a file that holds none is named by
what it is."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from util.errors import UserError, warn
from util.lazy import torch

Weights = dict[str, Any]  # name -> tensor
Score = Callable[[Weights], int]  # how well they fit what they are wanted for; 0: not at all

AVERAGED = (
    "params_ema",
    "ema",
    "ema_state_dict",
    "model_ema",
    "state_dict_ema",
    "netG_ema",
    "G_ema",
)
WHOLE_NAMES = {"G": ("generator", "gen"), "D": ("discriminator", "disc")}
DEEPEST = 4  # of dicts in dicts

BEGINNINGS = {  # bytes -> what the file is, what to do
    b"\x93NUMPY": ("a NumPy array (.npy)", "save a dict of tensors by torch.save"),
    b"\x89HDF\r\n": (
        "an HDF5 file, as Keras writes it",
        "convert it to a PyTorch state_dict first",
    ),
    b"version https://git-lfs": ("a pointer of Git LFS", "fetch the file itself: git lfs pull"),
    b"<!DOCTYPE": ("an HTML page", "download the file itself, not the page about it"),
    b"<html": ("an HTML page", "download the file itself, not the page about it"),
    b"\x1f\x8b": ("a gzip archive", "unpack it first"),
    b"BZh": ("a bzip2 archive", "unpack it first"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it first"),
    b"Rar!": ("a RAR archive", "unpack it first"),
    b"\x89PNG": ("a PNG image", "give a file of weights"),
    b"\xff\xd8\xff": ("a JPEG image", "give a file of weights"),
    b"GGUF": ("a GGUF file", "convert it to a PyTorch state_dict first"),
}


def what_it_is(path: Path) -> tuple[str, str]:
    """(what a file is, what to do) where it surely holds no weights that torch.save wrote; else two
    empty texts. Looks at its bytes, and runs nothing."""
    start = path.open("rb").read(64)
    if not start:
        return "an empty file", "copy or download it again"
    for beginning, found in BEGINNINGS.items():
        if start.lstrip().startswith(beginning):
            return found
    if not zipfile.is_zipfile(path):
        return "", ""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith(("/constants.pkl", "/code/")) or "/code/" in name for name in names):
        return (
            "a TorchScript archive (torch.jit.save), which is code",
            "save its weights where it may run: torch.save(torch.jit.load(FILE).state_dict(), NEW)",
        )
    if any(name.endswith(".npy") for name in names):
        return "NumPy arrays (.npz)", "save a dict of tensors by torch.save"
    if not any(name.endswith("data.pkl") for name in names):
        return "a zip archive", "unpack it first, and give the file of weights in it"
    return "", ""


def is_safetensors(path: Path) -> bool:
    """Whether the bytes are of that format, whatever the file is called."""
    with path.open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{" and start[7] == 0


def unwrapped(content: Any, path: Path, network: str = "", score: Score | None = None) -> Weights:
    """The weights in what a file holds, e.g. {"state_dict": weights, "epoch": 3}; said if they were
    wrapped.

    Args:
        content: what torch.load gave.
        network: whose weights are wanted (G, D_A, ...); decides between equally good ones.
        score: finds the best; without it the largest are.

    Raises:
        UserError: none there, or several that fit equally well.
    """
    found = list(_sets(content))
    if not found:
        raise UserError(f"{path}: holds {_named(content)}, not a state_dict of weights")
    score = score or len
    inner = [each for place, weights in found for each in _by_prefix(place, weights)]
    best = max(score(weights) for _, weights in found)
    better = max((score(weights) for _, weights in inner), default=0) if score is not len else 0
    if better > best:
        found, best = inner, better
    fitting = [(place, weights) for place, weights in found if score(weights) == best]
    ranks = [_rank(place, network) for place, _ in fitting]
    chosen = [each for each, rank in zip(fitting, ranks, strict=True) if rank == min(ranks)]
    if len(chosen) > 1:
        places = ", ".join(place for place, _ in chosen[:6])
        raise UserError(
            f"{path}: holds several state_dicts: {places}; save the one that is meant alone, by "
            "torch.save"
        )
    place, weights = chosen[0]
    if place:
        others = [name for name, _ in found if name != place][:6]
        warn(f"{path}: weights taken from {place} in it"
             + (f", not from {', '.join(others)}" if others else ""))  # fmt: skip
    return weights


def _sets(content: Any, place: str = "", depth: int = 0) -> Iterator[tuple[str, Weights]]:
    """(where, weights) of every state_dict in nested dicts."""
    if not isinstance(content, dict) or depth > DEEPEST:
        return
    values = list(content.values())
    named = all(isinstance(key, str) for key in content)
    flat = not any(isinstance(value, dict) for value in values)
    if named and flat and any(isinstance(value, torch.Tensor) for value in values):
        plain = (int, float, str, type(None))  # e.g. the number of epochs, among the weights
        yield place, {k: v for k, v in content.items() if not isinstance(v, plain)}
        return
    for key, value in content.items():
        if isinstance(key, str) and "optim" not in key.lower():
            yield from _sets(value, f"{place}[{key!r}]", depth + 1)


def _by_prefix(place: str, weights: Weights, depth: int = 0) -> Iterator[tuple[str, Weights]]:
    """(where, weights) of the parts of a larger module, whose names begin with the part's."""
    parts: dict[str, Weights] = {}
    for key, value in weights.items():
        part, dot, rest = key.partition(".")
        if dot:
            parts.setdefault(part, {})[rest] = value
    for part, inside in parts.items():
        where = f"{place} {part}.*".strip()
        yield where, inside
        if depth < 1:
            yield from _by_prefix(where, inside, depth + 1)


def _rank(place: str, network: str) -> int:
    """How likely a set is meant, by its name: 0 is best."""
    last = place.rpartition("[")[2].strip("]'\" ").removesuffix(".*").rpartition(" ")[2]
    plain = last.lower().removesuffix("_state_dict").removesuffix("_weights").removeprefix("net")
    own = {network.lower(), *WHOLE_NAMES.get(network, ())}
    if plain.removeprefix("_") in own:
        return 0
    return 1 if last in AVERAGED else 2


def _named(content: Any) -> str:
    """What is in a file, for people."""
    if isinstance(content, torch.Tensor):
        return f"a single tensor of shape {tuple(content.shape)}"
    if isinstance(content, dict) and "param_groups" in content:
        return "an optimizer's state"
    if isinstance(content, dict):
        keys = ", ".join(repr(key) for key in list(content)[:6])
        return f"a dict without tensors ({keys})" if keys else "an empty dict"
    return type(content).__name__

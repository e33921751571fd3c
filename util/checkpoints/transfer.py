"""`--init_from`: weights of another run or file, as far as they match."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from util.atomic import refuse_special
from util.checkpoints.checkpoint import find_checkpoint
from util.checkpoints.weights import clean_state_dict, load_state_dict, shape_of, weights_path
from util.errors import UserError
from util.lazy import nn


def transfer(networks: dict[str, nn.Module], source: str) -> Iterator[str]:
    """Fill networks with what matches by name and shape; yields one line for each of them.

    Args:
        networks: name -> network.
        source: a run's folder (its `latest` weights), a file `<epoch>_net_<X>.pth` (with the
            files of the same epoch beside it), or a single file of weights, which goes to the
            network it fits best.

    Raises:
        UserError: nothing there, or nothing matches.
    """
    files = _files_of(Path(source), list(networks))
    states = {name: load_state_dict(file) for name, file in files.items()}
    if "" in states:  # a file that does not say which network it belongs to
        only = states.pop("")
        states[max(networks, key=lambda name: _matching(networks[name], only))] = only
    total = 0
    for name, net in networks.items():
        if name not in states:
            yield f"network {name}: drawn anew, {source} has no weights for it"
            continue
        given, own = clean_state_dict(states[name], net), net.state_dict()
        fitting = {k: v for k, v in given.items() if k in own and shape_of(v) == own[k].shape}
        mismatched = given.keys() & own.keys() - fitting.keys()
        missing = own.keys() - given.keys()
        net.load_state_dict(fitting, strict=False)
        total += len(fitting)
        example = f" (e.g. {min(mismatched)})" if mismatched else ""
        yield (
            f"network {name}: {len(fitting)} matched, {len(missing)} missing, "
            f"{len(mismatched)} mismatched{example}, from {source}"
        )
    if not total:
        raise UserError(
            f"--init_from {source}: nothing in it matches these networks; give the flags they "
            "were trained with (--netG --norm --ngf), or leave --init_from out"
        )


def _files_of(source: Path, names: list[str]) -> dict[str, Path]:
    """Name of a network -> file; "" for a file without a network's name."""
    if source.is_dir():
        unit = find_checkpoint(source, "latest", [f"net_{name}.pth" for name in names])
        if unit is not None:
            inside = {name: unit.folder / f"net_{name}.pth" for name in names}
            return {name: file for name, file in inside.items() if file.name in unit.files}
        found = {name: weights_path(source, "latest", name) for name in names}
        found = {name: file for name, file in found.items() if file.is_file()}
        if not found:
            epochs = sorted({f.name.split("_net_")[0] for f in source.glob("*_net_*")})
            raise UserError(
                f"--init_from {source}: no latest_net_<X>.pth for {', '.join(names)} there; "
                f"epochs there: {', '.join(epochs) or 'none'}; give one of the files"
            )
        return found
    refuse_special(source, "init_from")
    if not source.is_file():
        raise UserError(f"--init_from {source}: no such file or folder; give a run's folder")
    epoch, mark, own = source.stem.partition("_net_")
    if not mark or own not in names:
        return {"": source}
    beside = {name: weights_path(source.parent, epoch, name) for name in names}
    return {name: file for name, file in beside.items() if file.is_file()}


def _matching(net: nn.Module, state_dict: dict) -> int:
    own, given = net.state_dict(), clean_state_dict(state_dict, net)
    return sum(key in own and shape_of(value) == own[key].shape for key, value in given.items())

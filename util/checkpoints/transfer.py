"""`--init_from`: weights of another run or file, whole, or as far as they match."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

from util.atomic import refuse_special
from util.checkpoints.checkpoint import find_checkpoint
from util.checkpoints.weights import (
    as_numbers_of,
    clean_state_dict,
    difference,
    fit_of,
    load_state_dict,
    published,
    shape_of,
    weights_path,
)
from util.errors import UserError
from util.lazy import nn


def transfer(
    networks: dict[str, nn.Module],
    source: str,
    partial: bool = False,
    explain: Callable[[dict, dict], str] | None = None,
) -> Iterator[str]:
    """Fill networks with the weights of other ones; yields one line for each of them.

    Args:
        networks: name -> network.
        source: a run's folder (its `latest` weights), a file `<epoch>_net_<X>.pth` (with the
            files of the same epoch beside it), or a single file of weights, which goes to the
            network it fits best.
        partial: take what matches by name and shape where not all does; the rest stays as drawn.
        explain: (a network's own weights, those of the file) -> how they differ, and what to do.

    Raises:
        UserError: nothing there, nothing matches, or not all and `partial` is not wanted.
    """
    files, found = _find(networks, Path(source))
    given = {name: clean_state_dict(found[name], networks[name]) for name in found}
    fitting = {name: _fitting(networks[name], given[name]) for name in found}
    if not any(fitting.values()):
        raise UserError(f"--init_from {source}: nothing in it matches these networks"
                        + "".join(f"; {explain(networks[name].state_dict(), given[name])}"
                                  for name in list(given)[:1] if explain))  # fmt: skip
    for name, net in networks.items():
        if name not in found:
            yield f"network {name}: drawn anew, {source} has no weights for it"
            continue
        own, there = ({k: shape_of(v) for k, v in each.items()}
                      for each in (net.state_dict(), given[name]))  # fmt: skip
        if own != there and not partial:
            what = explain(net.state_dict(), given[name]) if explain else "give its own flags"
            raise UserError(
                f"--init_from {source}: network {name} is another one ({len(fitting[name])} of "
                f"{len(own)} tensors match; {difference(own, there)}): {what}; or "
                "--init_partial, to begin with those that match and draw the rest anew"
            )
        usable = as_numbers_of(net, fitting[name], files[name], finite=True)
        net.load_state_dict(usable, strict=False)
        mismatched = [key for key in there if key in own and own[key] != there[key]]
        example = f" (e.g. {min(mismatched)})" if mismatched else ""
        yield (
            f"network {name}: {len(usable)} matched, {len(own.keys() - there.keys())} missing, "
            f"{len(mismatched)} mismatched{example}, from {source}"
        )


def _find(networks: dict[str, nn.Module], source: Path) -> tuple[dict[str, Path], dict[str, dict]]:
    """(name of a network -> file, name -> weights in it)."""
    files = _files_of(source, list(networks))
    if "" not in files:
        return files, {name: _found(networks[name], name, file) for name, file in files.items()}
    best = {name: _found(net, name, files[""]) for name, net in networks.items()}
    name = max(networks, key=lambda name: fit_of(networks[name], best[name]))
    return {name: files[""]}, {name: best[name]}


def _found(net: nn.Module, name: str, file: Path) -> dict:
    """The weights in a file that fit the network best."""
    return load_state_dict(file, "cpu", name, functools.partial(fit_of, net))


def _fitting(net: nn.Module, given: dict) -> dict:
    """Those that match by name and shape."""
    own = net.state_dict()
    return {k: v for k, v in given.items() if k in own and shape_of(v) == shape_of(own[k])}


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
            epochs = sorted({label for label, _ in published(source)})
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

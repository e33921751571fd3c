"""Which run is meant: by --name and --suffix, by the path of its folder, or by its name alone."""

import argparse
import string
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from options import types
from util.atomic import refuse_no_folder
from util.checkpoints.exports import is_export
from util.errors import UserError, did_you_mean

MOST = 12  # runs that a message names


def spelled(value: Any) -> str:
    """A flag's value as a part of a name: 10.0 is 10."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e16
    return str(int(value) if whole else value)


def fields_of(suffix: str) -> set[str]:
    """The flags that `--suffix` names in braces.

    Raises:
        UserError: there is more in braces than the plain name of a flag.
    """
    return {field for _, field in _parts(suffix) if field is not None}


def _parts(suffix: str) -> Iterable[tuple[str, str | None]]:
    """(text, flag or None after it), in order."""
    accepted = "accepted: text with the names of flags in braces, e.g. {netG}_{load_size}"
    try:
        parts = list(string.Formatter().parse(suffix))
    except ValueError as error:
        raise UserError(f"--suffix {suffix}: {error}; {accepted}") from None
    for text, field, spec, conversion in parts:
        if field is not None and (spec or conversion or not field.isidentifier()):
            more = (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            raise UserError(
                f"--suffix {suffix}: {{{field}{more}}} is not the plain name of a flag; {accepted}"
            )
        yield text, field


def suffix_of(options: Mapping[str, Any], spell: Callable[[Any], str] = spelled) -> str:
    """What `--suffix` adds to the name, with {flag} filled in.

    Args:
        options: flag -> value.
        spell: how values are written; `str` is how the version before wrote them.

    Raises:
        UserError: not a flag, or no name of one folder.
    """
    suffix, filled = options["suffix"], ""
    for text, field in _parts(suffix):
        if field is not None and field not in options:
            near = did_you_mean(field, options)
            raise UserError(f"--suffix {suffix}: {{{field}}}: there is no flag --{field}{near}")
        filled += text + ("" if field is None else spell(options[field]))
    try:
        return f"_{types.folder_name(filled)}" if suffix else ""
    except argparse.ArgumentTypeError as error:
        raise UserError(f"--suffix {suffix}: {error}") from None


def fits(folder: str, trained: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether a run is the one that flags name by what they fill into `--suffix`.

    Args:
        folder: the run's; trained: its own options.
        values: flag -> value, "name" and "suffix" among them. A flag that is not there, or None (a
            seed that is drawn), says nothing.
    """
    fields = fields_of(values["suffix"])
    known = [field for field in fields if values.get(field) is not None]
    if len(known) == len(fields):
        spellings = (suffix_of(values), suffix_of(values, str))
        if folder in [values["name"] + suffix for suffix in spellings]:
            return True
    return all(spelled(values[field]) == spelled(trained.get(field)) for field in known)


def located(values: dict[str, Any], usual_place: str) -> dict[str, Any]:
    """Values in which a run's path as `--name`, like checkpoints/r1/ as tab completion writes it,
    is its name and its `--checkpoints_dir`; an export's path likewise.

    Args:
        values: flag -> value, as given.
        usual_place: `--checkpoints_dir` where it is not given.

    Raises:
        UserError: neither the name of one folder nor the path of a run.
    """
    given = values.get("name")
    path = Path(given or "")
    place = values.get("checkpoints_dir", usual_place)
    if given and is_export(path) and not is_run(Path(place, path.name)):
        return values | {"name": path.name, "checkpoints_dir": str(path.parent)}
    if given is None or given == path.name:
        return values
    if path.name and ".." not in path.parts and len(path.parts) > 1:
        there = str(path.parent)
        if _same(there, place):
            return values | {"name": path.name}
        if is_run(path):
            if "checkpoints_dir" in values:
                raise UserError(
                    f"--name {given} is in {there}, not in --checkpoints_dir {place}; give the "
                    "run's name alone, or its path alone"
                )
            return values | {"name": path.name, "checkpoints_dir": there}
    if len(path.parts) == 1 and path.name not in ("", "..") and not path.is_absolute():
        return values | {"name": path.name}  # r1/
    raise UserError(
        f"--name {given!r}: accepted: the name of one folder, without / or \\, or the path of a "
        f"run that exists; runs in {place}: {described(place, path.name)}"
    )


def _same(one: str, other: str) -> bool:
    return Path(one).resolve() == Path(other).resolve()


def is_run(folder: Path) -> bool:
    """Whether a training has left something in a folder."""
    signs = ("train_opt.yaml", "metrics.jsonl", "*_net_*.pth", "*_net_*.safetensors", "snapshots")
    return folder.is_dir() and any(next(folder.glob(sign), None) for sign in signs)


def runs_in(folder: str | Path) -> list[str]:
    """Names of the runs in `--checkpoints_dir`, in order."""
    return sorted(path.name for path in Path(folder).glob("*") if is_run(path))


def described(folder: str | Path, name: str) -> str:
    """The runs there are, those first whose name is like `name`; the nearest is offered."""
    runs = runs_in(folder)
    near = get_close_matches(name, runs, n=3, cutoff=0.6)
    names = dict.fromkeys([*near, *runs])
    more = f", and {len(names) - MOST} more" if len(names) > MOST else ""
    told = ", ".join(list(names)[:MOST]) or "none"
    return told + more + did_you_mean(name, runs)


def missing(flag: str, name: str, folder: str | Path) -> UserError:
    """The error for a run that is not there. Raises UserError for what is no folder."""
    refuse_no_folder(Path(folder, name), "--name")
    return UserError(f"{flag}: no run {name!r} in {folder}; runs there: {described(folder, name)}")


def run_or_file(what: str, given: str, checkpoints_dir: str | Path) -> str:
    """The path of a run's folder or a file of weights, given as it is or as a run's name.

    Args:
        what: where it was given, for messages.

    Raises:
        UserError: it is neither.
    """
    run = Path(checkpoints_dir, given)
    path = Path(given)
    if path.is_file() or is_run(path) or (path.exists() and not is_run(run)):
        return given
    if run.exists():
        return str(run)
    raise UserError(
        f"{what} {given}: no such file or folder, and no run of this name in {checkpoints_dir}; "
        f"runs there: {described(checkpoints_dir, path.name)}"
    )

"""Which image of A belongs to which image of B: by name, or by a table."""

import csv
import os
from collections import Counter
from collections.abc import Iterable

from data.order import in_order
from util.atomic import not_regular, refuse_special
from util.errors import UserError, did_you_mean, warn

KNOWN_PHASES = ("train", "val", "test")
Pair = tuple[str, str]  # the files of A and of B


def stem_key(path: str, folder: str) -> str:
    """What partners have in common: the path below the folder, without extension, and without
    `_A` or `_B` at its end."""
    key = os.path.splitext(os.path.relpath(path, folder))[0]
    return key[:-2] if key.endswith(("_A", "_B")) and len(os.path.basename(key)) > 2 else key


def pair_by_stem(
    A_paths: Iterable[str],
    A_folder: str,
    B_paths: Iterable[str],
    B_folder: str,
    skip_alone: bool = False,
) -> list[Pair]:
    """(A, B) of equal names, in order: 1.jpg and 1.png, cat/1_A.png and cat/1_B.png.

    Args:
        skip_alone: leave out images without partner, with a warning.

    Raises:
        UserError: an image has no partner, or two images of one folder have the same name.
    """
    A, B = _by_key(A_paths, A_folder), _by_key(B_paths, B_folder)
    alone = [A[key] for key in A.keys() - B.keys()] + [B[key] for key in B.keys() - A.keys()]
    if alone and not A.keys() & B.keys():
        raise UserError(
            f"{A_folder} and {B_folder}: no name is in both; pairs have equal names, as 1.jpg and "
            "1.png, or 1_A.png and 1_B.png; for unpaired images use --dataset_mode unaligned"
        )
    if alone:
        names = ", ".join(in_order(alone)[:5]) + (", ..." if len(alone) > 5 else "")
        told = (
            f"{names}: no partner of this name in the other folder ({len(alone)} of "
            f"{len(A) + len(B)} images in {A_folder} and {B_folder})"
        )
        if not skip_alone:
            raise UserError(f"{told}; add it, or move the file away")
        warn(f"{told}; left out (--bad_images skip)")
    return [(A[key], B[key]) for key in in_order(A.keys() & B.keys())]


def read_pairs(table: str, root: str, phase: str) -> list[Pair]:
    """The pairs of a CSV file: columns A and B, files relative to `root`, and maybe `phase`.

    The first line may name the columns, in any order; rows of another phase are left out.

    Raises:
        UserError: the table or a file in it is missing, or no row is of this phase.
    """
    refuse_special(table, "pairs")
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            rows = [(number, row) for number, row in enumerate(csv.reader(file), 1) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text separated by commas"
        below = os.path.join(root, table)
        near = f"; did you mean {below}?" if os.path.isfile(below) else ""
        raise UserError(
            f"--pairs {table}: cannot be read ({why}){near}; accepted: a CSV file of two columns, "
            "A and B, and maybe a third, phase"
        ) from error
    columns = ["A", "B", "phase"]
    if rows and {"A", "B"} <= {cell.strip() for cell in rows[0][1]}:
        columns = [cell.strip() for cell in rows.pop(0)[1]]
    pairs, phases = [], Counter()
    for number, cells in rows:
        row = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
        phases[row.get("phase", phase)] += 1
        if row.get("phase", phase) == phase:
            pairs.append(tuple(_file(table, number, row.get(side), root) for side in "AB"))
    if not pairs:
        there = f"; phases there: {', '.join(phases)}" if phases else ""
        raise UserError(f"--pairs {table}: no row of --phase {phase}{there}")
    for name in phases.keys() - {phase}:
        if did_you_mean(name, [phase]) and name not in KNOWN_PHASES:
            warn(f"--pairs {table}: {phases[name]} rows of phase {name!r} left out; is it {phase}?")
    return pairs


def _file(table: str, line: int, name: str | None, root: str) -> str:
    path = os.path.join(root, name or "")
    if not name or not os.path.isfile(path):
        kind = not_regular(path) if name else ""
        what = (
            f"{path} is {kind}"
            if kind
            else f"no file {path}"
            if name
            else "a file of A and one of B are needed"
        )
        if name and ";" in name:
            what += "; separate the columns by commas"
        elif line == 1:
            what += "; a first line of names has to call the columns A, B (and phase)"
        raise UserError(f"--pairs {table}, line {line}: {what}; files are relative to {root}")
    return path


def _by_key(paths: Iterable[str], folder: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in paths:
        key = stem_key(path, folder)
        if key in found:
            raise UserError(
                f"{path} and {found[key]} have the same name, so their partner is not clear; "
                "rename one of them"
            )
        found[key] = path
    return found

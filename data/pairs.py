"""Which image of A belongs to which image of B: by name, or by a table."""

import csv
import os
from collections import Counter
from collections.abc import Iterable

from data.order import in_order
from data.pair_rules import ACCEPTED, Rule, example, suggest
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
    rule: Rule | None = None,
) -> list[Pair]:
    """(A, B) of equal names, in order: 1.jpg and 1.png, cat/1_A.png and cat/1_B.png.

    Args:
        skip_alone: leave out images without partner, with a warning.
        rule: how the names differ, of `--pairs`.

    Raises:
        UserError: an image has no partner, or two images of one folder have the same name.
    """
    A_paths, B_paths = list(A_paths), list(B_paths)
    A, B = (
        _by_key(paths, folder, rule, side)
        for side, paths, folder in (("A", A_paths, A_folder), ("B", B_paths, B_folder))
    )
    paired = {path for key in A.keys() & B.keys() for path in (A[key], B[key])}
    alone = in_order(path for path in (*A_paths, *B_paths) if path not in paired)
    if not alone:
        return [(A[key], B[key]) for key in in_order(A)]
    near = "" if rule else _near(A_paths, A_folder, B_paths, B_folder)
    if not paired:
        told = f"e.g. {os.path.basename(A_paths[0])} and {os.path.basename(B_paths[0])}; "
        raise UserError(
            f"{A_folder} and {B_folder}: no name is in both, {told * (not near)}"
            + (f"by --pairs {rule}; " if rule else "")
            + (near or f"{EQUAL}; else give {TABLE}, or a rule, --pairs '*_in:*_out'; {UNPAIRED}")
        )
    names = ", ".join(alone[:5]) + (", ..." if len(alone) > 5 else "")
    told = (
        f"{names}: no partner of this name in the other folder ({len(alone)} of "
        f"{len(A_paths) + len(B_paths)} images in {A_folder} and {B_folder})"
    )
    if not skip_alone:
        raise UserError(f"{told}; {near or f'add it, or move the file away; {UNPAIRED}'}")
    warn(f"{told}; left out (--bad_images skip)" + (f"; {near}" if near else ""))
    return [(A[key], B[key]) for key in in_order(A.keys() & B.keys())]


EQUAL = "pairs have equal names, as 1.jpg and 1.png, or 1_A.png and 1_B.png"
TABLE = "a table, --pairs FILE.csv with columns A and B"
UNPAIRED = "for unpaired images use --dataset_mode unaligned, as of --model cycle_gan"


def _near(A_paths: list[str], A_folder: str, B_paths: list[str], B_folder: str) -> str:
    """What to type where names nearly match; empty if they do not, or match as they are."""
    rule = suggest(A_paths, A_folder, B_paths, B_folder)
    if rule is None:
        return ""
    by_name = {stem_key(p, A_folder) for p in A_paths} & {stem_key(p, B_folder) for p in B_paths}
    by_rule = rule.keys("A", A_paths, A_folder) & rule.keys("B", B_paths, B_folder)
    if len(by_rule) <= len(by_name):
        return ""
    strangers = [path for path in A_paths if stem_key(path, A_folder) not in by_name]
    shown = example(rule, strangers, A_folder, B_paths, B_folder)
    return (
        f"names nearly match, as {shown}: give --pairs '{rule}', by which case and leading zeros "
        f"do not count, or {TABLE}"
    )


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
        raise UserError(f"--pairs {table}: cannot be read ({why}){near}; {ACCEPTED}") from error
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


def _by_key(
    paths: Iterable[str], folder: str, rule: Rule | None, side: str
) -> dict[str | None, str]:
    """What partners have in common -> file; without those that a rule does not know."""
    found: dict[str | None, str] = {}
    for path in paths:
        key = rule.key(side, path, folder) if rule else stem_key(path, folder)
        if key is None:
            continue
        if key in found:
            raise UserError(
                f"{path} and {found[key]} have the same name, so their partner is not clear; "
                "rename one of them"
            )
        found[key] = path
    return found

"""Which image of A belongs to which image of B: by name, or by a table."""

import os
from collections.abc import Iterable

from util.errors import UserError


def stem_key(path: str, folder: str) -> str:
    """What partners have in common: the path below the folder, without extension, and without
    `_A` or `_B` at its end."""
    key = os.path.splitext(os.path.relpath(path, folder))[0]
    return key[:-2] if key.endswith(("_A", "_B")) and len(os.path.basename(key)) > 2 else key


def pair_by_stem(
    A_paths: Iterable[str], A_folder: str, B_paths: Iterable[str], B_folder: str
) -> list[tuple[str, str]]:
    """(A, B) of equal names, sorted: 1.jpg and 1.png, cat/1_A.png and cat/1_B.png.

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
        names = ", ".join(sorted(alone)[:5]) + (", ..." if len(alone) > 5 else "")
        raise UserError(
            f"{names}: no partner of this name in the other folder ({len(alone)} of "
            f"{len(A) + len(B)} images in {A_folder} and {B_folder}); add it, or move the file away"
        )
    return [(A[key], B[key]) for key in sorted(A)]


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

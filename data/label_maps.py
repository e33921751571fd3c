"""Label maps on their way to a network: values of a file, classes, one channel for each class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from util.errors import BadImage, warn
from util.images.header import Header
from util.images.picture import Picture
from util.labels.colours import palette
from util.labels.read import palette_of, read_values
from util.labels.table import Labels
from util.lazy import torch

# As a value of `no_use_for` of datasets.
NO_LABELS = "where images may be label maps: --dataset_mode aligned, unaligned or single"
LOOKED_AT = 200  # label maps of a side, of all, before training
LIKE = 16  # images of a side that are asked whether they look like label maps
FEW, CORNER = 64, 64  # so few ids, all below, look like labels
VOIDS = (255, 65535)  # ids that often stand for void


@dataclass(frozen=True)
class ToClasses:
    """A file's values to its classes, as `Labels.classes` has them."""

    labels: Labels

    def __call__(self, picture: Picture) -> Picture:
        path = picture.info.get("path", "image")
        return Picture(self.labels.classes(picture.values, path), picture.info)


@dataclass(frozen=True)
class ToChannels:
    """Classes (H, W, 1) to a tensor (N, H, W): 255, later 1, where a class is, and 0, later -1,
    elsewhere; where it is void in all channels."""

    labels: Labels

    def __call__(self, picture: Picture) -> torch.Tensor:
        count = self.labels.count
        classes = torch.from_numpy(np.ascontiguousarray(picture.values[..., 0])).long()
        is_class = (classes >= 0) & (classes < count)
        channels = torch.zeros((count, *classes.shape), dtype=torch.uint8)
        there = (is_class * 255).to(torch.uint8)
        return channels.scatter_(0, classes.clamp(0, count - 1)[None], there[None])


def steps(labels: Labels) -> tuple[ToClasses, ToChannels]:
    """From a file's values to channels."""
    return ToClasses(labels), ToChannels(labels)


def wrong_labels(
    files: Mapping[str, Sequence[str]],
    labels: Mapping[str, Labels],
    read: Callable[[str, str], Picture],
    every: bool,
) -> dict[str, str]:
    """File -> which of its values are of no class, or why it is no label map. A side whose maps
    hold one class alone, beside void, as masks of 0 and 255 do, is told.

    Args:
        files, labels: of each side.
        read: the values of a file of a side.
        every: look at all files; else at LOOKED_AT of a side.
    """
    found = {}
    for side, paths in files.items():
        seen, known = set(), set(range(labels[side].count))
        for path in paths[:: 1 if every else -(-len(paths) // LOOKED_AT) or 1]:
            try:
                classes = labels[side].classes(read(path, side).values, path)
            except BadImage as error:
                found[path] = str(error).removeprefix(f"{path}: ")
                continue
            if len(seen & known) < 2:
                seen |= set(np.unique(classes).tolist())
        classes = seen & known
        if len(classes) == 1 < labels[side].count and seen > classes:
            warn(
                f"--label_{side}: of {labels[side].count} classes the maps hold {classes.pop()} "
                "alone, and all else is void; masks of 0 and 255 need a table of two classes "
                "(docs/labels.md)"
            )
    return found


def with_file_colours(labels: Labels, files: list[str]) -> Labels:
    """Shown in the palette of the first file, if it has one and no table says otherwise."""
    if not files or labels.by_colour or labels.colours != palette(labels.count):
        return labels
    return labels.with_colours(palette_of(files[0]))


def doubts(files: Mapping[str, list[str]], headers: Mapping[str, Header]) -> list[str]:
    """A line for each side whose images look like label maps, as if the flag had been forgotten.

    Args:
        files: of each side without the flag.
    """
    seen = {side: look_like_labels(paths, headers) for side, paths in files.items()}
    return [
        f"the images of {side} look like label maps: {what}; they are read as pictures, nearly "
        f"black or in the colours of their palette; --label_{side} {top + 1} reads a class for "
        "each id"
        for side, (what, top) in seen.items()
        if what
    ]


def look_like_labels(paths: list[str], headers: Mapping[str, Header]) -> tuple[str, int]:
    """What is seen in images that look like label maps, few ids in a corner of the range, and the
    highest id; empty and 0 if they do not."""
    chosen = [path for path in paths if path in headers]
    chosen = chosen[:: -(-len(chosen) // LIKE) or 1]
    found: set[int] = set()
    for path in chosen:
        header = headers[path]
        is_plain = header.channels == 1 or header.mode == "P"
        if not is_plain or header.dtype not in ("uint8", "uint16") or header.kind == "jpeg":
            return "", 0
        if header.mode == "1":
            return "", 0
        try:
            found |= set(np.unique(read_values(path).values).tolist())
        except BadImage:
            return "", 0
        if len(found) > FEW:
            return "", 0
    ids = sorted(found - set(VOIDS))
    if len(ids) < 2 or ids[-1] >= CORNER or not chosen:
        return "", 0
    shown = f"{', '.join(map(str, ids[:6]))}{', ...' if len(ids) > 6 else ''}"
    return f"{len(ids)} ids up to {ids[-1]} ({shown}), e.g. {chosen[0]}", ids[-1]

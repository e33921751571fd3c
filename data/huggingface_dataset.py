"""Images of a Hugging Face data set: <dataroot> is a folder, a parquet file or a name on the hub.

Needs `pip install -r requirements-huggingface.txt`.
"""

import argparse
import importlib
import os
import random
import re
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from data.base_dataset import BaseDataset, get_params
from data.image_folder import list_images
from util.errors import UserError, choose, warn
from util.images.picture import Picture
from util.images.read import read_bytes


class HuggingfaceDataset(BaseDataset):
    """One image column is A; with two, A and B are pairs that share crop and flip, or drawn at
    random with `--hf_unpaired`."""

    @staticmethod
    def modify_commandline_options(
        parser: argparse.ArgumentParser, is_train: bool
    ) -> argparse.ArgumentParser:
        """Which columns of which part of the data set."""
        add = parser.add_argument
        # fmt: off
        add("--hf_columns", nargs="+", metavar="COLUMN",
            help="columns of A and of B; default: the image columns, in their order")
        add("--hf_split", help="default: --phase")
        add("--hf_unpaired", action="store_true", help="an image of B at random for each of A")
        # fmt: on
        return parser

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        library = _library()
        rows = _load(library, opt.dataroot, opt.hf_split or opt.phase)
        images = {name: kind for name, kind in rows.features.items()
                  if isinstance(kind, library.Image)}  # fmt: skip
        names = opt.hf_columns or list(images)[:2]
        for name in names:
            choose("hf_columns", name, images)
        if not 1 <= len(names) <= 2:
            raise UserError(
                f"--hf_columns {' '.join(names) or 'none'}: accepted: one or two of the columns "
                f"of images; columns there: {', '.join(rows.features)}"
            )
        self.columns = dict(zip("AB", names, strict=False))  # side -> column
        self.rows = rows.select_columns(names)
        for name in names:  # as they are in the file: the depth of their values is kept
            self.rows = self.rows.cast_column(name, library.Image(decode=False))

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def load(self, index: int) -> dict:
        """A as a picture, and B if it is A's partner."""
        sides = [side for side in self.columns if side == "A" or not self.opt.hf_unpaired]
        return self._load(sides, index)

    def augment(self, sample: dict) -> dict:
        """One crop and one flip for A and B; or, with `--hf_unpaired`, B at random and a crop and a
        flip for each: tensors (C, H, W), uint8 or float32 in [0, 1]."""
        alone = self.opt.hf_unpaired
        if alone and "B" in self.columns:
            sample = sample | self._load(["B"], random.randrange(len(self.rows)))
        params = None
        for side in self.columns:
            if params is None or alone:
                params = get_params(self.opt, sample[side].info["full"])
            sample = sample | {side: self.crop_and_flip(sample[side], params)}
        return sample

    def _load(self, sides: Iterable[str], place: int) -> dict:
        sample: dict[str, Any] = {}
        for side in sides:
            path, picture = self._picture(side, place)
            sample |= {side: self.resize(picture, side), f"{side}_paths": path}
        return sample

    def _picture(self, side: str, place: int) -> tuple[str, Picture]:
        cell = self.rows[place][self.columns[side]]
        name = cell["path"] or f"{self.columns[side]}_{place:06d}.png"
        data = cell["bytes"] if cell["bytes"] is not None else read_bytes(name)
        return name, self.decode(name, data, side)


def _library() -> ModuleType:
    """The package `datasets`; a folder of ours has the same name, and is none."""
    library = importlib.import_module("datasets")
    if not hasattr(library, "load_dataset"):
        raise UserError(
            "--dataset_mode huggingface needs a package that is not installed; "
            "pip install -r requirements-huggingface.txt"
        )
    return library


# What the package looks for in paths, split -> words; of what has none of them, all is "train".
SPLITS = {"train": "train|training", "validation": "validation|valid|dev|val",
          "test": "test|testing|eval|evaluation"}  # fmt: skip


def _without_output(root: str) -> dict[str, list[str]] | None:
    """Split -> files, of a folder in which programs of ours have written as well; None: all files,
    as the package finds them."""
    found = list_images(root) if os.path.isdir(root) else None
    if found is None or not found.own:
        return None
    warn(f"--dataroot {root}: {found.describe_own()}")
    words = {split: rf"(^|[\W\d_])({words})([\W\d_]|$)" for split, words in SPLITS.items()}
    named = {
        split: [file for file in found.files if re.search(word, os.path.relpath(file, root))]
        for split, word in words.items()
    }
    return {split: files for split, files in named.items() if files} or {"train": found.files}


def _load(library: ModuleType, root: str, split: str) -> Any:
    """The rows of a split."""
    try:
        library.disable_progress_bars()
        if os.path.isfile(root):
            return library.load_dataset("parquet", data_files={split: root}, split=split)
        return library.load_dataset(root, split=split, data_files=_without_output(root))
    except Exception as error:  # of many kinds, for folders, networks and formats
        why = " ".join(str(error).split())
        raise UserError(
            f"--dataroot {root}, --hf_split {split}: {why}; accepted: a folder or a parquet file "
            "that Hugging Face's datasets reads, or a name on the hub"
        ) from error

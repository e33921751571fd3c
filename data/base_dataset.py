"""What every dataset shares: folders, channels and transforms, read from the options."""

from __future__ import annotations

import argparse
import os
import random
from abc import ABC, abstractmethod
from collections.abc import Callable

from PIL import Image

from data import transforms
from data.cache import Cache
from data.image_folder import IMG_EXTENSIONS, list_images, subfolders
from data.layout import hint, parent_hint
from util.direction import oriented
from util.errors import UserError, did_you_mean, warn
from util.images.header import Header
from util.images.levels import Levels, in_range
from util.images.picture import Picture
from util.images.read import range_of, read_picture
from util.lazy import torch


class BaseDataset(ABC):
    """Extend this in data/<name>_dataset.py, class <Name>Dataset; see docs/new_dataset.md.

    A sample is a dict: "A" (and "B") float tensors (C, H, W) in [-1, 1], "A_paths" a string.
    """

    cache: Cache | None = None  # of `--cache`
    beside = 1  # images of equal width that a file holds
    reads_pairs = False  # whether `--pairs` has a meaning
    repeat = 1  # times in a row that an epoch yields each sample

    def __init__(self, opt: argparse.Namespace) -> None:
        self.opt = opt
        self.root = opt.dataroot

    @staticmethod
    def modify_commandline_options(
        parser: argparse.ArgumentParser, is_train: bool
    ) -> argparse.ArgumentParser:
        """Add flags of the dataset, or set new defaults for existing ones."""
        return parser

    @abstractmethod
    def __len__(self) -> int:
        """How many samples an epoch has."""

    def __getitem__(self, index: int) -> dict:
        """The sample, with every random choice drawn from `random`, `numpy` or `torch`."""
        return self.finish(self.levels(index))

    # The datasets here make samples in two parts, of which the second is for a whole batch at once.

    def levels(self, index: int) -> dict:
        """The sample with its images as `cut` gives them."""
        raise NotImplementedError(f"{type(self).__name__} has no method __getitem__")

    def finish(self, batch: dict) -> dict:
        """One sample of `levels`, or a batch of them on any device, with images in [-1, 1]."""
        return batch | {side: in_range(batch[side]) for side in "AB" if side in batch}

    # What the check before training asks for; see data/check.py.

    def checked_files(self) -> dict[str, list[str]]:
        """Side ("A", "B", or "AB" for both in one file) -> its image files, for the check before
        training. A dataset that reads its files in its own way names none."""
        return {}

    def checked_channels(self, side: str) -> set[int]:
        """How many channels the images of a side of `checked_files()` have to give."""
        return {self.channels()["AB".index(letter)] for letter in side}

    def checked_problems(self, headers: dict[str, Header]) -> dict[str, str]:
        """File -> what is wrong with it, as far as only this dataset knows."""
        return {}

    # Building blocks for dataset files.

    def images_in(self, folder: str, expected: str, limit: bool = True) -> list[str]:
        """Image paths below a folder; one line with the `expected` tree if there are none.

        Args:
            limit: keep the first `--max_dataset_size` only.
        """
        if not os.path.isdir(self.root):
            parent, name = os.path.split(os.path.abspath(self.root))
            near = did_you_mean(name, subfolders(parent)) or "; give the folder of the images"
            what = "a file, not a folder" if os.path.isfile(self.root) else "no such folder"
            raise UserError(f"--dataroot {self.root}: {what}{near}")
        listing = list_images(folder) if os.path.isdir(folder) else None
        if listing and listing.images:
            for line in listing.describe_left_out():
                warn(f"{folder}: {line}" if folder not in line else line)
            most = self.opt.max_dataset_size if limit else len(listing.images)
            return listing.images[: int(min(most, len(listing.images)))]
        extensions = " ".join(IMG_EXTENSIONS)
        problem = (
            f"no image in {folder} (accepted: {extensions})" if listing else "no folder " + folder
        )
        mode, phase = self.opt.dataset_mode, self.opt.phase
        raise UserError(
            f"--dataroot {self.root}: {problem}"
            + (parent_hint(self.root, phase) or hint(self.root, phase, mode))
            + f"; expected {expected}; "
            f"folders there: {', '.join(subfolders(self.root)[:12]) or 'none'}"
        )

    def images_below(self, expected: str) -> list[str]:
        """`--dataroot` itself, if it is a file; else the images below it."""
        return [self.root] if os.path.isfile(self.root) else self.images_in(self.root, expected)

    def channels(self) -> tuple[int, int]:
        """Channels of the images in A and in B, whichever of them the network takes as input."""
        return oriented(self.opt.direction, self.opt.input_nc, self.opt.output_nc)

    def picture(self, path: str, side: str) -> Picture:
        """The image of one side, "A" or "B", upright, with the channels that the networks expect.

        Raises:
            BadImage: it cannot be read, or has other channels.
        """
        nc = self.channels()["AB".index(side)]
        return read_picture(path, nc, range_of(self.opt.value_range, side), self.least())

    def least(self) -> tuple[int, int] | None:
        """(width, height) px that are enough of a file, with `--fast_decode`."""
        if self.opt.fast_decode and self.opt.preprocess == "resize_and_crop":
            return self.beside * self.opt.load_size, self.opt.load_size
        return None

    def scaled(self, path: str, side: str) -> Picture | Levels:
        """The image of one side, scaled by `--preprocess`, from the cache if it is there;
        `info["full"]` is its size before."""
        return self.kept(path, side, lambda: [self.scale(self.picture(path, side), side)])[0]

    def kept(
        self, path: str, side: str, read: Callable[[], list[Picture]]
    ) -> list[Picture] | list[Levels]:
        """What `read` makes of a file, by way of `--cache`."""
        return self.cache.fetch((path, side), read) if self.cache else read()

    def scale(self, picture: Picture, side: str) -> Picture:
        """The part of `--preprocess` that leaves nothing to chance."""
        o, info = self.opt, picture.info | {"full": picture.size}
        steps = transforms.scaling(o.preprocess, o.load_size, o.crop_size, self.method(side))
        for step in steps:
            picture = step(picture)
        picture.info = info
        return picture

    def cut(self, picture: Picture | Levels, params: dict | None = None) -> torch.Tensor:
        """The part of `--preprocess` that chance decides, or `params`. Returns: (C, H, W),
        uint8 where the file has 8 bits, else float32 in [0, 1]."""
        for step in transforms.cutting(
            self.opt.preprocess, self.opt.crop_size, **_chance(self.opt, params)
        ):
            picture = step(picture)
        return Levels.of(picture).values

    def method(self, side: str) -> Image.Resampling:
        """How the images of a side are scaled: `--label_A` and `--label_B` keep labels."""
        label = self.opt.label_A if side == "A" else self.opt.label_B
        return Image.Resampling.NEAREST if label else Image.Resampling.BICUBIC

    def transform_for(self, side: str, params: dict | None = None) -> transforms.Transform:
        """`get_transform` for the images of one side."""
        return get_transform(self.opt, params, method=self.method(side))


NO_AUGMENTATION = {"crop_pos": (0, 0), "flip": False}  # as of get_params


def get_params(opt: argparse.Namespace, size: tuple[int, int]) -> dict:
    """Draw one augmentation for images of `size` = (width, height) px, to be shared by a pair."""
    width, height = transforms.size_before_crop(opt.preprocess, size, opt.load_size)
    x = random.randint(0, max(0, width - opt.crop_size))
    y = random.randint(0, max(0, height - opt.crop_size))
    return {"crop_pos": (x, y), "flip": random.random() > 0.5}


def get_transform(
    opt: argparse.Namespace,
    params: dict | None = None,
    grayscale: bool = False,
    method: Image.Resampling | int = Image.Resampling.BICUBIC,
    convert: bool = True,
) -> transforms.Transform:
    """The transform that the options ask for.

    Args:
        params: from `get_params`; None draws anew at each call.
        grayscale: to one channel.
        method: interpolation, PIL's or torchvision's name.
        convert: end with a tensor (C, H, W) in [-1, 1]; else the result is a PIL image.
    """
    return transforms.build(
        opt.preprocess,
        opt.load_size,
        opt.crop_size,
        **_chance(opt, params),
        grayscale=grayscale,
        method=transforms.pil_resampling(method),
        convert=convert,
    )


def _chance(opt: argparse.Namespace, params: dict | None) -> dict:
    """The arguments of `transforms.cutting` that `params` decides; None: each call anew."""
    if params is None:
        return {"flip": False, "random_flip": not opt.no_flip}
    return {"flip": not opt.no_flip and params["flip"], "crop_position": params["crop_pos"]}

"""What every dataset shares: folders, channels and transforms, read from the options."""

from __future__ import annotations

import argparse
import os
import random
from abc import ABC, abstractmethod
from collections.abc import Callable

from PIL import Image

from data import label_maps, transforms
from data.cache import Cache
from data.check import SIDES, Expectations
from data.image_folder import list_images, subfolders
from data.layout import hint, near_names, parent_hint
from data.samples import pictures_in, refuse_another_size
from data.standard import standard
from util.atomic import check_readable, not_regular
from util.direction import oriented
from util.errors import UserError, did_you_mean, warn
from util.images.picture import Picture, in_range
from util.images.read import decode_picture, range_of, read_bytes
from util.labels.read import decode_values
from util.labels.table import Labels
from util.lazy import torch


class BaseDataset(Expectations, ABC):
    """Extend this in data/<name>_dataset.py, class <Name>Dataset; see docs/new_dataset.md.

    A sample is a dict: "A" (and "B", and as many more as you like) float tensors (C, H, W) in
    [-1, 1], "A_paths" a string. It is made in three steps, `load`, `augment` and `normalize`, or by
    a `__getitem__` of your own.
    """

    cache: Cache | None = None  # of `--cache`
    images_per_file = 1  # of equal width, side by side
    no_use_for: dict[str, str] = {}  # as of a model, see models/base_model.py
    folders: tuple[str, ...] = ()  # of the images; results have the sub-folders below them
    reads_pairs = False  # whether `--pairs` has a meaning
    image_channels: dict[str, int] = {}  # of images besides A and B; else grey or colour, as a file

    def __init__(self, opt: argparse.Namespace) -> None:
        self.opt = opt
        self.root = opt.dataroot
        self.labels: dict[str, Labels] = opt.labels  # of the sides that are label maps

    @staticmethod
    def modify_commandline_options(
        parser: argparse.ArgumentParser, is_train: bool
    ) -> argparse.ArgumentParser:
        """Add flags of the dataset, or set new defaults for existing ones."""
        return parser

    @classmethod
    def images_alone(cls, root: str, phase: str, side: str) -> str | None:
        """A file or a folder of images of the side that a network takes, "A" or "B", where the
        folder has no layout of this data set; None: it has, or what it holds is not known."""
        return None

    @abstractmethod
    def __len__(self) -> int:
        """How many samples an epoch has."""

    @standard
    def __getitem__(self, index: int) -> dict:
        """The sample, with every random choice drawn from `random`, `numpy` or `torch`."""
        return self.normalize(self.augment(self.load(index)))

    def load(self, index: int) -> dict:
        """What leaves nothing to chance: the sample with its images as `read` gives them."""
        old = "levels, which is now called load" if hasattr(self, "levels") else "neither"
        raise UserError(
            f"{type(self).__name__} has {old}: write __getitem__(index), or load(index) as in "
            "docs/new_dataset.md"
        )

    def augment(self, sample: dict) -> dict:
        """What chance decides, here crop and flip: A and B each by itself, all further images as A.
        Pictures become tensors as `crop_and_flip` gives them."""
        together = [name for name in pictures_in(sample) if name != "B"]
        params = None if together in ([], ["A"]) else self.draw(sample[together[0]])
        cropped = {
            name: self.crop_and_flip(sample[name], params if name in together else None, name)
            for name in pictures_in(sample)
        }
        return sample | cropped

    def augment_together(self, sample: dict) -> dict:
        """One crop and one flip for all images of a sample, of one size; see `crop_and_flip`.

        Raises:
            BadImage: they differ in size.
        """
        names = pictures_in(sample)
        params = self.draw(sample[names[0]])
        for name in names:
            refuse_another_size(sample[names[0]], sample[name])
        return sample | {name: self.crop_and_flip(sample[name], params, name) for name in names}

    def draw(self, image: Picture | Image.Image) -> dict:
        """`get_params` for an image of `load`."""
        return get_params(self.opt, image.info.get("full", image.size))

    def normalize(self, batch: dict) -> dict:
        """One sample of `augment`, (C, H, W), or a batch of them, (N, C, H, W), on any device ->
        its A and B as float32 in [-1, 1]."""
        return batch | {side: in_range(batch[side]) for side in SIDES if side in batch}

    # Building blocks for dataset files.

    def images_in(self, folder: str, expected: str, limit: bool = True) -> list[str]:
        """Image paths below a folder; one line with the `expected` tree if there are none.

        Args:
            limit: keep the first `--max_dataset_size` only.
        """
        for place in (self.root, folder):
            check_readable(place, "--dataroot")
        if not os.path.isdir(self.root):
            parent, name = os.path.split(os.path.abspath(self.root))
            near = did_you_mean(name, subfolders(parent)) or "; give the folder of the images"
            what = "a file, not a folder" if os.path.isfile(self.root) else "no such folder"
            what = not_regular(self.root) or what
            raise UserError(f"--dataroot {self.root}: {what}{near}")
        listing = list_images(folder) if os.path.isdir(folder) else None
        if listing and listing.images:
            for line in listing.describe_left_out():
                warn(f"{folder}: {line}" if folder not in line else line)
            self.folders = (*self.folders, folder)
            most = self.opt.max_dataset_size if limit else len(listing.images)
            return listing.images[: int(min(most, len(listing.images)))]
        problem = _no_folder(folder)
        if listing:
            problem = f"no image in {folder}{listing.describe_absence()}"
        mode, phase = self.opt.dataset_mode, self.opt.phase
        raise UserError(
            f"--dataroot {self.root}: {problem}"
            + (
                near_names(self.root, phase)
                or parent_hint(self.root, phase)
                or hint(self.root, phase, mode)
            )
            + f"; expected {expected}; "
            f"folders there: {', '.join(subfolders(self.root)[:12]) or 'none'}"
        )

    def images_below(self, expected: str) -> list[str]:
        """`--dataroot` itself, if it is a file; else the images below it."""
        return [self.root] if os.path.isfile(self.root) else self.images_in(self.root, expected)

    def channels(self) -> tuple[int, int]:
        """Channels of the images in A and in B, whichever of them the network takes as input."""
        return oriented(self.opt.direction, self.opt.input_nc, self.opt.output_nc)

    def channels_of(self, side: str) -> int | None:
        """Channels of the images of a side; None: grey or coloured, as each file is."""
        return dict(zip(SIDES, self.channels(), strict=True)).get(
            side, self.image_channels.get(side)
        )

    @standard
    def picture(self, path: str, side: str) -> Picture:
        """The image of one side, upright: A and B with the channels that the networks expect, any
        other with those of `image_channels`; a label map with the values of its file.

        Raises:
            BadImage: it cannot be read, or has other channels.
        """
        return self.decode(path, read_bytes(path), side)

    def decode(self, path: str, data: bytes, side: str) -> Picture:
        """`picture` of bytes that are at hand."""
        if side in self.labels:
            picture = decode_values(path, data, self.labels[side].by_colour)
            picture.info["side"] = side
            return picture
        nc, value_range = self.channels_of(side), range_of(self.opt.value_range, side)
        picture = decode_picture(path, data, nc, value_range, self.min_decode_size())
        picture.info["side"] = side
        return picture

    def min_decode_size(self) -> tuple[int, int] | None:
        """(width, height) px that are enough of a file, with `--fast_decode`."""
        if self.opt.fast_decode and self.opt.preprocess == "resize_and_crop":
            return self.images_per_file * self.opt.load_size, self.opt.load_size
        return None

    def read(self, path: str, side: str) -> Picture:
        """The image of one side, resized by `--preprocess`, from the cache if it is there;
        `info["full"]` is its size before."""
        (kept,) = self.cached(path, side, lambda: [self.resize(self.picture(path, side), side)])
        return Picture(kept.held, kept.info | {"side": side})

    def cached(self, path: str, side: str, make: Callable[[], list[Picture]]) -> list[Picture]:
        """What `make` makes of a file, by way of `--cache`."""
        return self.cache.fetch((path, side), make) if self.cache else make()

    def resize(self, picture: Picture, side: str) -> Picture:
        """The part of `--preprocess` that leaves nothing to chance; of a label map, the classes of
        its values too."""
        o, info = self.opt, picture.info | {"full": picture.size}
        for step in transforms.resizing(o.preprocess, o.load_size, o.crop_size, self.method(side)):
            picture = step(picture)
        if side in self.labels:
            picture = label_maps.ToClasses(self.labels[side])(picture)
        return Picture(picture.held, info)

    def crop_and_flip(
        self, image: Picture | Image.Image, params: dict | None = None, side: str = "A"
    ) -> torch.Tensor:
        """The part of `--preprocess` that chance decides, or `params`.

        Args:
            side: of an image that `read` or `picture` have not given.

        Returns: (C, H, W) of A and B, uint8 where the file has 8 bits or is a label map, else
            float32 in [0, 1], for `normalize` works faster on a whole batch; any other image is
            float32 in [-1, 1].
        """
        side = image.info.get("side", side)
        for step in transforms.cropping_and_flipping(
            self.opt.preprocess, self.opt.crop_size, **_chance(self.opt, params)
        ):
            image = step(image)
        if side in self.labels:
            return label_maps.ToChannels(self.labels[side])(Picture.of(image))
        tensor = Picture.of(image).tensor()
        return tensor if side in SIDES else in_range(tensor)

    def size_after_resize(self, size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) px of an image by `--preprocess`, before it is cropped."""
        o = self.opt
        return transforms.size_after_resize(o.preprocess, o.load_size, o.crop_size, size)

    def size_after(self, size: tuple[int, int], path: str) -> tuple[int, int]:
        """(width, height) px of a sample made of the image of a file.

        Raises:
            BadImage: it is smaller than what is to be cropped from it.
        """
        o = self.opt
        return transforms.size_after(o.preprocess, o.load_size, o.crop_size, size, path)

    def method(self, side: str) -> Image.Resampling:
        """How the images of a side are resized: `--label_A` and `--label_B` keep labels."""
        label = {"A": self.opt.label_A, "B": self.opt.label_B}.get(side)
        return Image.Resampling.NEAREST if label else Image.Resampling.BICUBIC

    def transform_for(self, side: str, params: dict | None = None) -> transforms.Transform:
        """`get_transform` for the images of one side, as `picture` gives them."""
        if side not in self.labels:
            return get_transform(self.opt, params, method=self.method(side))
        cut = get_transform(self.opt, params, method=self.method(side), convert=False)
        return transforms.Compose((cut, *label_maps.steps(self.labels[side]), in_range))


def _no_folder(path: str) -> str:
    return f"{path} is a file, not a folder" if os.path.isfile(path) else f"no folder {path}"


NO_AUGMENTATION = {"crop_pos": (0, 0), "flip": False}  # as of get_params


def get_params(opt: argparse.Namespace, size: tuple[int, int]) -> dict:
    """Draw one augmentation for images of `size` = (width, height) px, to be shared by a pair."""
    if "crop" in opt.preprocess:  # else the position is drawn as well, and means nothing
        size = transforms.size_after_resize(opt.preprocess, opt.load_size, opt.crop_size, size)
    width, height = size
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
    """The arguments of `transforms.cropping_and_flipping` that `params` decides; None: each call
    anew."""
    if params is None:
        return {"flip": False, "random_flip": not opt.no_flip}
    return {"flip": not opt.no_flip and params["flip"], "crop_position": params["crop_pos"]}

"""What every dataset shares: folders, channels and transforms, read from the options."""

import argparse
import os
import random
from abc import ABC, abstractmethod

from PIL import Image
from torch.utils import data

from data import transforms
from data.image_folder import IMG_EXTENSIONS, make_dataset, subfolders
from util.direction import oriented
from util.errors import UserError, did_you_mean


class BaseDataset(data.Dataset, ABC):
    """Extend this in data/<name>_dataset.py, class <Name>Dataset; see docs/new_dataset.md.

    A sample is a dict: "A" (and "B") float tensors (C, H, W) in [-1, 1], "A_paths" a string.
    """

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

    @abstractmethod
    def __getitem__(self, index: int) -> dict:
        """The sample, with every random choice drawn from `random`, `numpy` or `torch`."""

    def images_in(self, folder: str, expected: str) -> list[str]:
        """Image paths below a folder; one line with the `expected` tree if there are none."""
        if not os.path.isdir(self.root):
            parent, name = os.path.split(os.path.abspath(self.root))
            hint = did_you_mean(name, subfolders(parent)) or "; give the folder of the images"
            raise UserError(f"--dataroot {self.root}: no such folder{hint}")
        if not os.path.isdir(folder):
            problem = f"no folder {folder}"
        elif not (paths := make_dataset(folder, self.opt.max_dataset_size)):
            problem = f"no image in {folder} (accepted: {' '.join(IMG_EXTENSIONS)})"
        else:
            return paths
        raise UserError(
            f"--dataroot {self.root}: {problem}; expected {expected}; "
            f"folders there: {', '.join(subfolders(self.root)[:12]) or 'none'}"
        )

    def channels(self) -> tuple[int, int]:
        """Channels of the images in A and in B, whichever of them the network takes as input.

        Raises:
            UserError: neither grey (1) nor colour (3).
        """
        for flag in ("input_nc", "output_nc"):
            if (count := getattr(self.opt, flag)) not in (1, 3):
                raise UserError(
                    f"--{flag} {count}: --dataset_mode {self.opt.dataset_mode} reads images as "
                    "grey or colour; accepted: 1, 3"
                )
        return oriented(self.opt.direction, self.opt.input_nc, self.opt.output_nc)


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
        flip=not opt.no_flip and params is not None and params["flip"],
        crop_position=params["crop_pos"] if params else None,
        random_flip=not opt.no_flip and params is None,
        grayscale=grayscale,
        method=transforms.pil_resampling(method),
        convert=convert,
    )

"""Photographs as lightness (A) and colour (B): <dataroot>/<phase>/*.jpg (colorization)."""

import argparse
import os

from data.base_dataset import BaseDataset
from data.label_maps import NO_LABELS
from data.layout import one_input
from data.standard import standard
from util.images.picture import Picture
from util.images.read import range_of, read_picture
from util.lazy import Lazy

lab = Lazy("util.images.lab")


class ColorizationDataset(BaseDataset):
    """A = L/50 - 1, (1, H, W); B = ab/110, (2, H, W). Grey photographs have B = 0.

    In test <dataroot> may be one photograph, or a plain folder of them.
    """

    no_use_for = {"label_A": NO_LABELS, "label_B": NO_LABELS}

    @staticmethod
    def modify_commandline_options(
        parser: argparse.ArgumentParser, is_train: bool
    ) -> argparse.ArgumentParser:
        """Lightness in, colour out."""
        parser.set_defaults(input_nc=1, output_nc=2, direction="AtoB")
        return parser

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        folder = os.path.join(opt.dataroot, opt.phase)
        plain = None if opt.isTrain else self.images_alone(opt.dataroot, opt.phase, "A")
        expected = f"{folder}/*.jpg (--dataset_mode colorization)"
        if plain and os.path.isfile(plain):
            self.AB_paths = [plain]
        else:
            self.AB_paths = self.images_in(plain or folder, expected)

    @classmethod
    def images_alone(cls, root: str, phase: str, side: str) -> str | None:
        """Photographs without a folder for the phase."""
        return one_input(root, phase, side)

    def __len__(self) -> int:
        """How many photographs there are."""
        return len(self.AB_paths)

    def load(self, index: int) -> dict:
        """The photograph in colour, as A."""
        path = self.AB_paths[index]
        return {"A": self.read(path, "A"), "A_paths": path, "B_paths": path}

    def normalize(self, batch: dict) -> dict:
        """Colours (..., 3, H, W), uint8 or float32 in [0, 1] -> A (..., 1, H, W), B (..., 2, H, W)
        as above."""
        A, B = lab.rgb_to_lab(batch["A"])
        return batch | {"A": A, "B": B}

    @standard
    def picture(self, path: str, side: str) -> Picture:
        """The photograph in three channels, whatever A and B have."""
        return read_picture(path, 3, range_of(self.opt.value_range, "A"), self.min_decode_size())

    @standard
    def checked_files(self) -> dict[str, list[str]]:
        """The photographs, as A."""
        return {"A": self.AB_paths}

    def checked_channels(self, side: str) -> set[int]:
        """Three, whatever A and B have."""
        return {3}  # also made from grey

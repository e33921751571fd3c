"""Photographs as lightness (A) and colour (B): <dataroot>/<phase>/*.jpg (colorization)."""

import argparse
import os

import numpy as np

from data.base_dataset import BaseDataset, get_transform
from data.image_folder import load_image
from util.lab import rgb_to_lab


class ColorizationDataset(BaseDataset):
    """A = L/50 - 1, (1, H, W); B = ab/110, (2, H, W). Grey photographs have B = 0."""

    @staticmethod
    def modify_commandline_options(
        parser: argparse.ArgumentParser, is_train: bool
    ) -> argparse.ArgumentParser:
        parser.set_defaults(input_nc=1, output_nc=2, direction="AtoB")
        return parser

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        folder = os.path.join(opt.dataroot, opt.phase)
        self.AB_paths = self.images_in(folder, f"{folder}/*.jpg (--dataset_mode colorization)")
        self.transform = get_transform(opt, convert=False)

    def __len__(self) -> int:
        return len(self.AB_paths)

    def __getitem__(self, index: int) -> dict:
        path = self.AB_paths[index]
        A, B = rgb_to_lab(np.asarray(self.transform(load_image(path))))
        return {"A": A, "B": B, "A_paths": path, "B_paths": path}

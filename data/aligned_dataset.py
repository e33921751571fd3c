"""Pairs in one file, A left and B right: <dataroot>/<phase>/*.jpg (pix2pix)."""

import argparse
import os

from data.base_dataset import BaseDataset, get_params, get_transform
from data.image_folder import load_image
from util.errors import UserError


class AlignedDataset(BaseDataset):
    """A and B of a pair share crop and flip."""

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        self.dir_AB = os.path.join(opt.dataroot, opt.phase)
        self.AB_paths = self.images_in(
            self.dir_AB, f"{self.dir_AB}/*.jpg, each A|B side by side (--dataset_mode aligned)"
        )
        self.A_nc, self.B_nc = self.channels()

    def __len__(self) -> int:
        return len(self.AB_paths)

    def __getitem__(self, index: int) -> dict:
        path = self.AB_paths[index]
        AB = load_image(path)
        width, height = AB.size
        if width % 2:
            raise UserError(
                f"{path}: {width}x{height} px has no two halves; "
                "aligned files hold A and B of equal width side by side"
            )
        A = AB.crop((0, 0, width // 2, height))
        B = AB.crop((width // 2, 0, width, height))
        params = get_params(self.opt, A.size)
        return {
            "A": get_transform(self.opt, params, grayscale=self.A_nc == 1)(A),
            "B": get_transform(self.opt, params, grayscale=self.B_nc == 1)(B),
            "A_paths": path,
            "B_paths": path,
        }

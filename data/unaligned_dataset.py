"""Two unpaired sets: <dataroot>/<phase>A/*.jpg and <dataroot>/<phase>B/*.jpg (CycleGAN)."""

import argparse
import os
import random

from data.base_dataset import BaseDataset, get_transform
from data.image_folder import load_image


class UnalignedDataset(BaseDataset):
    """Each image of A with a random one of B, or with `--serial_batches` with the one in turn."""

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        dirs = [os.path.join(opt.dataroot, opt.phase + domain) for domain in "AB"]
        expected = f"{dirs[0]}/*.jpg and {dirs[1]}/*.jpg (--dataset_mode unaligned)"
        self.A_paths, self.B_paths = (self.images_in(folder, expected) for folder in dirs)
        A_nc, B_nc = self.channels()
        self.transform_A = get_transform(opt, grayscale=A_nc == 1)
        self.transform_B = get_transform(opt, grayscale=B_nc == 1)

    def __len__(self) -> int:
        return max(len(self.A_paths), len(self.B_paths))

    def __getitem__(self, index: int) -> dict:
        A_path = self.A_paths[index % len(self.A_paths)]
        if self.opt.serial_batches:
            B_path = self.B_paths[index % len(self.B_paths)]
        else:  # at random, to avoid fixed pairs
            B_path = random.choice(self.B_paths)
        return {
            "A": self.transform_A(load_image(A_path)),
            "B": self.transform_B(load_image(B_path)),
            "A_paths": A_path,
            "B_paths": B_path,
        }

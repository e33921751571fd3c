"""Two unpaired sets: <dataroot>/<phase>A/*.jpg and <dataroot>/<phase>B/*.jpg (CycleGAN)."""

import argparse
import os
import random

from data.base_dataset import BaseDataset
from data.layout import domain_folders


class UnalignedDataset(BaseDataset):
    """Each image of A with a random one of B, or with `--serial_batches` with the one in turn.

    A/<phase> and B/<phase> are read where there are no <phase>A and <phase>B.
    """

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        dirs = [os.path.join(opt.dataroot, opt.phase + domain) for domain in "AB"]
        expected = f"{dirs[0]}/*.jpg and {dirs[1]}/*.jpg (--dataset_mode unaligned)"
        dirs = domain_folders(opt.dataroot, opt.phase) or dirs
        self.A_paths, self.B_paths = (self.images_in(folder, expected) for folder in dirs)

    def __len__(self) -> int:
        return max(len(self.A_paths), len(self.B_paths))

    def levels(self, index: int) -> dict:
        A_path = self.A_paths[index % len(self.A_paths)]
        if self.opt.serial_batches:
            B_path = self.B_paths[index % len(self.B_paths)]
        else:  # at random, to avoid fixed pairs
            B_path = random.choice(self.B_paths)
        return {
            "A": self.cut(self.scaled(A_path, "A")),
            "B": self.cut(self.scaled(B_path, "B")),
            "A_paths": A_path,
            "B_paths": B_path,
        }

    def checked_files(self) -> dict[str, list[str]]:
        return {"A": self.A_paths, "B": self.B_paths}

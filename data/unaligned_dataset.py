"""Two unpaired sets: <dataroot>/<phase>A/*.jpg and <dataroot>/<phase>B/*.jpg (CycleGAN)."""

import argparse
import os
import random

from data.base_dataset import BaseDataset
from data.layout import domain_folders, one_input
from data.standard import standard


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

    @classmethod
    def images_alone(cls, root: str, phase: str, side: str) -> str | None:
        """One set without the other."""
        return one_input(root, phase, side)

    def __len__(self) -> int:
        """So many that the larger set is seen whole in an epoch."""
        return max(len(self.A_paths), len(self.B_paths))

    def load(self, index: int) -> dict:
        """A as a picture, and with `--serial_batches` B."""
        A_path = self.A_paths[index % len(self.A_paths)]
        sample = {"A": self.read(A_path, "A"), "A_paths": A_path}
        if self.opt.serial_batches:
            sample |= self._load_B(self.B_paths[index % len(self.B_paths)])
        return sample

    def augment(self, sample: dict) -> dict:
        """B at random, to avoid fixed pairs; a crop and a flip for each: tensors (C, H, W), uint8
        or float32 in [0, 1]."""
        if not self.opt.serial_batches:
            sample = sample | self._load_B(random.choice(self.B_paths))
        return super().augment(sample)

    def _load_B(self, path: str) -> dict:
        return {"B": self.read(path, "B"), "B_paths": path}

    @standard
    def checked_files(self) -> dict[str, list[str]]:
        """The files of both sides."""
        return {"A": self.A_paths, "B": self.B_paths}

"""The images of one folder, for translating in one direction: <dataroot>/*.jpg (--model test)."""

import argparse

from data.base_dataset import BaseDataset
from data.layout import domain_folders, two_domains
from data.standard import standard
from util.direction import oriented
from util.errors import warn


class SingleDataset(BaseDataset):
    """Yields what the network takes as input, as "A", whatever `--direction` says. <dataroot> may
    be one image, too."""

    no_use_for = {"phase": "with folders named by it: --dataset_mode aligned or unaligned"}

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        self.side = oriented(opt.direction, "A", "B")[0]  # that the network takes
        self.A_paths = self.images_below(f"{opt.dataroot}/*.jpg (--dataset_mode single)")
        if folders := domain_folders(opt.dataroot, opt.phase) or two_domains(opt.dataroot):
            warn(
                f"--dataroot {opt.dataroot}: all images below it are taken, those of both domains; "
                f"for one of them give --dataroot {folders[0]}"
            )

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.A_paths)

    def load(self, index: int) -> dict:
        """A picture of the side that the network takes, as A."""
        path = self.A_paths[index]
        return {"A": self.read(path, self.side), "A_paths": path}

    @standard
    def checked_files(self) -> dict[str, list[str]]:
        """The images, read as those of the side that the network takes."""
        return {self.side: self.A_paths}

"""The images of one folder, for translating in one direction: <dataroot>/*.jpg (--model test)."""

import argparse

from data.base_dataset import BaseDataset, get_transform
from data.image_folder import load_image


class SingleDataset(BaseDataset):
    """Yields what the network takes as input, as "A", whatever `--direction` says."""

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        self.A_paths = self.images_in(opt.dataroot, f"{opt.dataroot}/*.jpg (--dataset_mode single)")
        self.transform = get_transform(opt, grayscale=opt.input_nc == 1)

    def __len__(self) -> int:
        return len(self.A_paths)

    def __getitem__(self, index: int) -> dict:
        path = self.A_paths[index]
        return {"A": self.transform(load_image(path)), "A_paths": path}

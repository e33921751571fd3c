"""A dataset to start your own from: copy it to data/<name>_dataset.py, see docs/new_dataset.md.

As it stands it yields each image of <dataroot>/*.jpg as both A and B.
"""

import argparse

from data.base_dataset import BaseDataset, get_transform
from data.image_folder import load_image


class TemplateDataset(BaseDataset):
    """Found by its file's name: `--dataset_mode template`."""

    @staticmethod
    def modify_commandline_options(
        parser: argparse.ArgumentParser, is_train: bool
    ) -> argparse.ArgumentParser:
        """Add your flags; new defaults for existing flags go into `set_defaults`."""
        parser.add_argument(
            "--new_dataset_option", type=float, default=1.0, help="an example of a dataset's flag"
        )
        parser.set_defaults(max_dataset_size=10, new_dataset_option=2.0)
        return parser

    def __init__(self, opt: argparse.Namespace) -> None:
        """List the files here; read them in __getitem__, which runs in the worker processes."""
        super().__init__(opt)
        self.image_paths = self.images_in(opt.dataroot, f"{opt.dataroot}/*.jpg")
        self.transform = get_transform(opt)

    def __getitem__(self, index: int) -> dict:
        """One sample. Random choices from `random`, `numpy` or `torch` are seeded for you."""
        path = self.image_paths[index]
        image = self.transform(load_image(path))  # (3, H, W) in [-1, 1]
        return {"A": image, "B": image.clone(), "A_paths": path, "B_paths": path}

    def __len__(self) -> int:
        return len(self.image_paths)

    def checked_files(self) -> dict[str, list[str]]:
        """What is looked at before training; leave it out if you read files in your own way."""
        return {"A": self.image_paths}

"""A dataset to start your own from: copy it to data/<name>_dataset.py, see docs/new_dataset.md.

As it stands it yields each image of <dataroot>/*.jpg as both A and B.
"""

import argparse

from data.base_dataset import BaseDataset


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
        """List the files here; read them in `load`, which runs in the worker processes."""
        super().__init__(opt)
        self.image_paths = self.images_below(f"{opt.dataroot}/*.jpg")

    def __len__(self) -> int:
        """How many samples an epoch has."""
        return len(self.image_paths)

    def load(self, index: int) -> dict:
        """What leaves nothing to chance: `read` gives the image of a file, resized, which `--cache`
        may keep."""
        path = self.image_paths[index]
        return {"A": self.read(path, "A"), "A_paths": path, "B_paths": path}

    def augment(self, sample: dict) -> dict:
        """What chance decides, here crop and flip: from pictures to tensors (C, H, W), which become
        floats in [-1, 1] afterwards. `random`, `numpy` and `torch` are seeded for you."""
        image = self.crop_and_flip(sample["A"])
        return sample | {"A": image, "B": image.clone()}

    def checked_files(self) -> dict[str, list[str]]:
        """What is looked at before training; leave it out if you read files in your own way."""
        return {"A": self.image_paths}

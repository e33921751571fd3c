"""Content images of style transfer by optimisation: <dataroot> is a file, or a folder of them."""

import argparse

from data.base_dataset import BaseDataset
from data.label_maps import NO_LABELS
from data.standard import standard
from util.images.convert import scaled_size
from util.images.header import Header
from util.images.picture import Picture
from util.images.read import load_image, range_of

SMALLEST_PX = 16  # below, there is no content to speak of


class ContentDataset(BaseDataset):
    """Yields each image as "A"."""

    no_use_for = {
        "direction": "with two sides: --dataset_mode aligned or unaligned",
        "phase": "with folders named by it: --dataset_mode aligned or unaligned",
        "label_A": NO_LABELS,
        "label_B": NO_LABELS,
    }

    def __init__(self, opt: argparse.Namespace) -> None:
        super().__init__(opt)
        self.A_paths = self.images_below("an image, or a folder of images (--dataset_mode content)")

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.A_paths)

    def load(self, index: int) -> dict:
        """The image in 8-bit colour, as A."""
        path = self.A_paths[index]
        return {"A": self.read(path, "A"), "A_paths": path}

    @standard
    def picture(self, path: str, side: str) -> Picture:
        """The image in 8-bit colour, whatever the file holds."""
        return Picture.of(load_image(path, value_range=range_of(self.opt.value_range, "A")))

    @standard
    def checked_files(self) -> dict[str, list[str]]:
        """The images, as A."""
        return {"A": self.A_paths}

    def checked_channels(self, side: str) -> set[int]:
        """Three: content is colour."""
        return {3}

    def checked_problems(self, headers: dict[str, Header]) -> dict[str, str]:
        """Look at sizes before hours are spent on the images before."""
        found = {}
        for path, header in headers.items():
            scaled = scaled_size(header.size, self.opt.load_size, longer=True)
            for what, (width, height) in ((", scaled", scaled), ("", header.size)):
                if min(width, height) < SMALLEST_PX:
                    found[path] = (
                        f"{width}x{height} px{what} is too small for a content image; "
                        f"accepted are sides of {SMALLEST_PX} px and more"
                    )
        return found

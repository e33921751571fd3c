"""Folders of real photographs, in the layout of every dataset."""

from pathlib import Path

import skimage.data
from PIL import Image

FILES = 20  # different ones in a folder; the others are links to them


def photo(index: int, px: int) -> Image.Image:
    """A square piece of one of scikit-image's photographs."""
    names = ("astronaut", "chelsea", "coffee", "rocket")
    whole = Image.fromarray(getattr(skimage.data, names[index % len(names)])())
    side = min(whole.size) * 3 // 4
    x, y = (17 * index % (length - side) for length in whole.size)
    return whole.crop((x, y, x + side, y + side)).resize((px, px), Image.Resampling.LANCZOS)


def make_photos(root: Path, count: int, px: int = 256) -> None:
    """root/train (A beside B; a single one for colorization), root/trainA, trainB and testA."""
    for number, folder in enumerate(("train", "trainA", "trainB", "testA")):
        (root / folder).mkdir(parents=True)
        for i in range(count):
            path = root / folder / f"{i:05d}.jpg"
            if i >= FILES:
                path.symlink_to(f"{i % FILES:05d}.jpg")
                continue
            image = Image.new("RGB", (2 * px if folder == "train" else px, px))
            image.paste(photo(i + number, px))
            if folder == "train":
                image.paste(photo(i + 7, px), (px, 0))
            image.save(path, quality=92)

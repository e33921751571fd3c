"""Finding image files below a folder."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from util.errors import UserError
from util.images.formats import extensions
from util.images.read import load_image

IMG_EXTENSIONS = extensions()


@dataclass
class Listing:
    """What is below a folder: images, links to nowhere, and how many other files by extension."""

    images: list[str] = field(default_factory=list)
    dangling: list[str] = field(default_factory=list)
    others: Counter = field(default_factory=Counter)

    def describe_left_out(self) -> list[str]:
        """A line for each kind of file that is not used."""
        lines = [f"{path}: a link to a file that is not there; left out" for path in self.dangling]
        if self.others:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.others.most_common(5))
            lines.append(f"{sum(self.others.values())} files are no images, left out: {kinds}")
        return lines


def is_image_file(filename: str) -> bool:
    """By extension, in either case; hidden files (also macOS's `._x.jpg`) are none."""
    name = os.path.basename(filename)
    return name.lower().endswith(IMG_EXTENSIONS) and not name.startswith(".")


def list_images(folder: str) -> Listing:
    """What is in a folder and its sub-folders, links followed, each folder once; images sorted."""
    found = Listing()
    _collect(folder, found, set())
    found.images.sort()
    return found


def _collect(folder: str, found: Listing, seen: set[str]) -> None:
    real = os.path.realpath(folder)
    if real in seen:  # a link back up
        return
    seen.add(real)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except PermissionError as error:
        raise UserError(f"{folder}: this folder may not be read; ask its owner") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_symlink() and not os.path.exists(entry.path):
            found.dangling.append(entry.path)
        elif entry.is_dir():
            _collect(entry.path, found, seen)
        elif is_image_file(entry.name):
            found.images.append(entry.path)
        else:
            found.others[os.path.splitext(entry.name)[1].lower() or "without extension"] += 1


def make_dataset(folder: str, max_dataset_size: float = float("inf")) -> list[str]:
    """Sorted paths of the images below a folder, sub-folders and links included.

    Args:
        max_dataset_size: keep the first so many only.

    Raises:
        UserError: the folder does not exist.
    """
    if not os.path.isdir(folder):
        raise UserError(f"{folder}: not a folder")
    paths = list_images(folder).images
    return paths[: min(max_dataset_size, len(paths))]


def subfolders(folder: str) -> list[str]:
    """Names of the folders in a folder, for messages; empty if it does not exist."""
    if not os.path.isdir(folder):
        return []
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())


def default_loader(path: str) -> Image.Image:
    """An image file as 8-bit RGB, upright."""
    return load_image(path)


class ImageFolder:
    """The images below a folder as a data set, for scripts that were written for the reference.

    Args:
        transform: of each image.
        return_paths: give (image, file) instead of the image alone.
        loader: reads a file.
    """

    def __init__(
        self,
        root: str,
        transform: Callable[[Any], Any] | None = None,
        return_paths: bool = False,
        loader: Callable[[str], Any] = default_loader,
    ) -> None:
        self.root, self.imgs = root, make_dataset(root)
        if not self.imgs:
            raise UserError(f"{root}: no image in it; accepted: {' '.join(IMG_EXTENSIONS)}")
        self.transform, self.return_paths, self.loader = transform, return_paths, loader

    def __getitem__(self, index: int) -> Any:
        path = self.imgs[index]
        image = self.loader(path)
        image = self.transform(image) if self.transform is not None else image
        return (image, path) if self.return_paths else image

    def __len__(self) -> int:
        return len(self.imgs)

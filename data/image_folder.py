"""Finding image files below a folder, and reading one of them."""

import os

from util.errors import UserError
from util.image import load_image  # noqa: F401  (datasets find it here)

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".tif", ".tiff")


def is_image_file(filename: str) -> bool:
    """By extension, in either case; hidden files (also macOS's `._x.jpg`) are none."""
    name = os.path.basename(filename)
    return name.lower().endswith(IMG_EXTENSIONS) and not name.startswith(".")


def make_dataset(folder: str, max_dataset_size: float = float("inf")) -> list[str]:
    """Sorted paths of the images below a folder, sub-folders and links included.

    Args:
        max_dataset_size: keep the first so many only.

    Raises:
        UserError: the folder does not exist.
    """
    if not os.path.isdir(folder):
        raise UserError(f"{folder}: not a folder")
    paths, seen = [], set()
    for root, subfolders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:  # a link back up: each folder is read once
            subfolders.clear()
            continue
        seen.add(real)
        paths += [os.path.join(root, name) for name in files if is_image_file(name)]
    paths.sort()
    return paths[: min(max_dataset_size, len(paths))]


def subfolders(folder: str) -> list[str]:
    """Names of the folders in a folder, for messages; empty if it does not exist."""
    if not os.path.isdir(folder):
        return []
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())

"""Finding image files below a folder."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from data.order import in_order
from data.own_output import WRITTEN, own_output
from util.errors import UserError, warn
from util.images.formats import extensions, how_to_convert
from util.images.read import load_image
from util.record import counted

IMG_EXTENSIONS = extensions()
# Of Windows, macOS, and network storage, which keeps small pictures of its own.
OF_SYSTEMS = {"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir",
              "$recycle.bin", "system volume information", "lost+found"}  # fmt: skip


@dataclass
class Listing:
    """What is below a folder: images, links to nowhere, how many other files by extension, and
    folders that a program of ours has written (folder -> what it is), which are left out."""

    images: list[str] = field(default_factory=list)
    dangling: list[str] = field(default_factory=list)
    others: Counter = field(default_factory=Counter)
    own: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)  # images and others

    def describe_left_out(self) -> list[str]:
        """A line for each kind of file that is not used."""
        lines = [f"{path}: a link to a file that is not there; left out" for path in self.dangling]
        if self.others:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.others.most_common(5))
            lines.append(
                f"{counted(sum(self.others.values()), 'file')} left out, no image: {kinds}"
            )
        return lines + ([self.describe_own()] if self.own else [])

    def describe_own(self) -> str:
        """Which folders are own output."""
        folders = [f"{folder} ({what})" for folder, what in self.own.items()]
        more = f" and {len(folders) - 3} more" if len(folders) > 3 else ""
        return (
            f"output is no data, left out: {', '.join(folders[:3])}{more}; to read one, give the "
            "folder of its images itself"
        )

    def describe_absence(self) -> str:
        """What there is instead, where there is no image, and what is accepted."""
        kinds = self.others.most_common(5)
        told = [f"{counted(n, 'file')} {kind}{how_to_convert(kind)}" for kind, n in kinds]
        told += [f"{counted(len(self.dangling), 'link')} to files that are not there"] * bool(
            self.dangling
        )
        told += [self.describe_own()] * bool(self.own)
        accepted = f"; accepted: {' '.join(IMG_EXTENSIONS)}"
        return (": " + "; ".join(told) if told else "") + accepted


def is_image_file(filename: str) -> bool:
    """By extension, in either case; hidden files (also macOS's `._x.jpg`) are none."""
    name = os.path.basename(filename)
    return name.lower().endswith(IMG_EXTENSIONS) and not is_hidden(name)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of the user's: hidden, or put there by a system."""
    return name.startswith(".") or name.lower() in OF_SYSTEMS


def list_images(folder: str) -> Listing:
    """What is in a folder and its sub-folders, links followed, each folder once; images in order
    (see data/order.py). Output of our own programs in it is left out, whatever it is called."""
    found, entries = Listing(), _entries(folder)
    names = [entry.name for entry in entries]
    what = own_output(folder, names)  # which is read if it is given itself
    seen = {os.path.realpath(folder)}
    _collect(entries, found, seen, {name: what for name in WRITTEN if what})
    found.images = in_order(found.images)
    return found


def _entries(folder: str) -> list[os.DirEntry]:
    """What is in a folder, but hidden files."""
    try:
        entries = [entry for entry in os.scandir(folder) if not is_hidden(entry.name)]
    except PermissionError as error:
        raise UserError(f"{folder}: this folder may not be read; ask its owner") from error
    return sorted(entries, key=lambda entry: entry.name)


def _collect(
    entries: list[os.DirEntry], found: Listing, seen: set[str], written: dict[str, str]
) -> None:
    """Add what a folder holds.

    Args:
        seen: folders, as their real paths.
        written: sub-folder -> of what it holds the pictures.
    """
    for entry in entries:
        if entry.is_symlink() and not os.path.exists(entry.path):
            found.dangling.append(entry.path)
            continue
        if entry.is_dir():
            real = os.path.realpath(entry.path)
            if real in seen:  # a link back up
                continue
            seen.add(real)
            inside = _entries(entry.path)
            names = [each.name for each in inside]
            if what := written.get(entry.name) or own_output(entry.path, names):
                found.own[entry.path] = what
            else:
                _collect(inside, found, seen, {})
            continue
        found.files.append(entry.path)
        if is_image_file(entry.name):
            found.images.append(entry.path)
        else:
            found.others[_extension(entry.name)] += 1


def _extension(name: str) -> str:
    stem, last = os.path.splitext(name.lower())
    return ".nii.gz" if last == ".gz" and stem.endswith(".nii") else last or "without extension"


def make_dataset(folder: str, max_dataset_size: float = float("inf")) -> list[str]:
    """Paths of the images below a folder, in order, sub-folders and links included.

    Args:
        max_dataset_size: keep the first so many only.

    Raises:
        UserError: the folder does not exist.
    """
    images = _listed(folder).images
    return images[: int(min(max_dataset_size, len(images)))]


def _listed(folder: str) -> Listing:
    """What is below a folder; own output beside images is told."""
    if not os.path.isdir(folder):
        raise UserError(f"{folder}: not a folder")
    listing = list_images(folder)
    if listing.own and listing.images:
        warn(listing.describe_own())
    return listing


def some_images(folder: str) -> list[str]:
    """`make_dataset`, with a line on what else is left out; UserError, with what there is instead,
    if there is no image."""
    listing = _listed(folder)
    if not listing.images:
        raise UserError(
            f"{folder}: no image in it{listing.describe_absence()}; give the folder that holds the "
            "images"
        )
    listing.own = {}  # told already
    for line in listing.describe_left_out():
        warn(f"{folder}: {line}")
    return listing.images


def subfolders(folder: str) -> list[str]:
    """Names of the folders of data in a folder; empty if it does not exist."""
    if not os.path.isdir(folder):
        return []
    inside = [entry for entry in os.scandir(folder) if os.path.isdir(entry.path)]
    return in_order(e.name for e in inside if not (is_hidden(e.name) or _is_own(e.path)))


def _is_own(folder: str) -> bool:
    try:
        return bool(own_output(folder, os.listdir(folder)))
    except OSError:
        return False


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
        self.root, self.imgs = root, some_images(root)
        self.transform, self.return_paths, self.loader = transform, return_paths, loader

    def __getitem__(self, index: int) -> Any:
        path = self.imgs[index]
        image = self.loader(path)
        image = self.transform(image) if self.transform is not None else image
        return (image, path) if self.return_paths else image

    def __len__(self) -> int:
        return len(self.imgs)

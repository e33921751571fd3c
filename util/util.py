"""The old names, for plug-ins that say `import util.util as util`."""

import os

from util.images.convert import save_image, tensor2im  # noqa: F401


def mkdirs(paths: str | list[str]) -> None:
    """Make folders, with their parents, unless they are there."""
    for path in [paths] if isinstance(paths, str) else paths:
        mkdir(path)


def mkdir(path: str) -> None:
    """Make a folder, with its parents, unless it is there."""
    os.makedirs(path, exist_ok=True)

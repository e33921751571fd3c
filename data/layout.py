"""What a data folder looks like: which `--dataset_mode` could read it."""

import os

from data.image_folder import list_images, subfolders
from data.pairs import stem_key
from util.errors import BadImage
from util.image_header import read_header

Folders = tuple[str, str]


def domain_folders(root: str, phase: str) -> Folders | None:
    """The folders of A and B, `<phase>A` and `<phase>B` or `A/<phase>` and `B/<phase>`."""
    for names in ((phase + "A", phase + "B"), (f"A/{phase}", f"B/{phase}")):
        A, B = (os.path.join(root, name) for name in names)
        if os.path.isdir(A) and os.path.isdir(B):
            return A, B
    return None


def likely_modes(root: str, phase: str) -> dict[str, str]:
    """`--dataset_mode` -> why, the likeliest first; empty if nothing is recognised."""
    found: dict[str, str] = {}
    together = list_images(os.path.join(root, phase)).images if _has(root, phase) else []
    folders = domain_folders(root, phase)
    if together and _two_halves(together[0]):
        found["aligned"] = f"{together[0]} is twice as wide as high, so it may be a pair A|B"
    if folders:
        keys = [{stem_key(p, f) for p in list_images(f).images} for f in folders]
        if keys[0] and keys[0] == keys[1]:
            found["aligned"] = f"{folders[0]} and {folders[1]} hold the same names"
        elif all(keys):
            found["unaligned"] = f"{folders[0]} and {folders[1]} hold different names"
    if together and not found:
        found["colorization"] = f"{os.path.join(root, phase)} holds single images"
    if not found and os.path.isdir(root) and list_images(root).images:
        found["single"] = f"{root} holds images, and no folder named for --phase {phase}"
    return found


def hint(root: str, phase: str, mode: str) -> str:
    """`; did you mean ...?` for a folder that `mode` cannot read, or an empty string."""
    for likely, why in likely_modes(root, phase).items():
        if likely == "single":
            break
        if likely != mode:
            kind = {"aligned": "paired", "unaligned": "unpaired"}.get(likely, "unpaired")
            return f"; this looks like {kind} data ({why}): did you mean --dataset_mode {likely}?"
    for other in ("train", "test", "val"):
        if other != phase and mode in likely_modes(root, other):
            return f"; did you mean --phase {other}?"
    return ""


def parent_hint(root: str, phase: str) -> str:
    """`; did you mean --dataroot ...?` if the folder above, or one below, fits better."""
    name = os.path.basename(os.path.abspath(root))
    parent = os.path.dirname(os.path.abspath(root))
    if name in (phase, phase + "A", phase + "B") and likely_modes(parent, phase):
        return f"; did you mean --dataroot {os.path.dirname(root.rstrip('/')) or '.'}?"
    for below in subfolders(root):
        inner = os.path.join(root, below)
        if not _has(root, phase) and (_has(inner, phase) or domain_folders(inner, phase)):
            return f"; did you mean a folder in it, --dataroot {inner}?"
    return ""


def _has(root: str, name: str) -> bool:
    return os.path.isdir(os.path.join(root, name))


def _two_halves(path: str) -> bool:
    try:
        width, height = read_header(path).size
    except (BadImage, OSError):
        return False
    return width == 2 * height

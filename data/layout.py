"""What a data folder looks like: which `--dataset_mode` could read it."""

import os

from data.image_folder import list_images, subfolders
from data.pairs import KNOWN_PHASES, stem_key
from util.errors import BadImage
from util.images.header import read_header

Folders = tuple[str, str]
KINDS = {"aligned": ("paired data", "pix2pix"), "unaligned": ("unpaired data", "cycle_gan"),
         "colorization": ("photographs", "colorization")}  # fmt: skip


def domain_folders(root: str, phase: str) -> Folders | None:
    """The folders of A and B, `<phase>A` and `<phase>B` or `A/<phase>` and `B/<phase>`."""
    for names in ((phase + "A", phase + "B"), (f"A/{phase}", f"B/{phase}")):
        A, B = (os.path.join(root, name) for name in names)
        if os.path.isdir(A) and os.path.isdir(B):
            return A, B
    return None


def one_input(root: str, phase: str, side: str = "A") -> str | None:
    """The images that one network takes, where a folder has no layout of a data set: a file, the
    folder itself, or `<phase>A` without `<phase>B`; None where both sides are there, or none is
    recognised.

    Args:
        side: "A" or "B", which the network takes.
    """
    if os.path.isfile(root):
        return root
    if not os.path.isdir(root) or _has(root, phase) or domain_folders(root, phase):
        return None
    for name in (phase + side, f"{side}/{phase}"):
        if _has(root, name):
            return os.path.join(root, name)
    folders = set(subfolders(root))
    of_phases = {phase + end for phase in (*KNOWN_PHASES, phase) for end in ("", "A", "B")}
    if folders & of_phases or {"A", "B"} <= folders:
        return None  # another phase's, or flat domains: which is meant nobody knows
    return root if list_images(root).images else None


def are_pairs(source: str) -> bool:
    """Whether images look like pairs A|B side by side, by the first of them."""
    first = [source] if os.path.isfile(source) else list_images(source).images[:1]
    return any(map(_two_halves, first))


def likely_modes(root: str, phase: str) -> dict[str, str]:
    """`--dataset_mode` -> why, the likeliest first; empty if nothing is recognised."""
    found: dict[str, str] = {}
    together = list_images(os.path.join(root, phase)).images if _has(root, phase) else []
    folders = domain_folders(root, phase)
    if together and _two_halves(together[0]):
        found["aligned"] = f"{together[0]} is twice as wide as high, so it may be a pair A|B"
    if folders:
        keys = [{stem_key(p, f) for p in list_images(f).images} for f in folders]
        both, most = keys[0] & keys[1], max(map(len, keys))
        if both and 2 * len(both) > most:
            same = "the same names" if len(both) == most else "mostly the same names"
            found["aligned"] = f"{folders[0]} and {folders[1]} hold {same}"
        else:
            found["unaligned"] = f"{folders[0]} and {folders[1]} hold different names"
    if together and not found:
        found["colorization"] = f"{os.path.join(root, phase)} holds single images"
    if not found and os.path.isdir(root) and list_images(root).images:
        found["single"] = f"{root} holds images, and no folder named for --phase {phase}"
    return found


def hint(root: str, phase: str, mode: str) -> str:
    """`; did you mean ...?` for a folder that `mode` cannot read, or an empty string."""
    for likely, why in likely_modes(root, phase).items():
        if likely not in ("single", mode):
            kind, model = KINDS[likely]
            return (
                f"; this looks like {kind} ({why}): did you mean --dataset_mode {likely}, as of "
                f"--model {model}?"
            )
    if direct := [path for path in list_images(root).images if os.path.dirname(path) == root]:
        return (
            f"; {len(direct)} images lie in {root} itself: move them into {phase}, or divide them "
            "by scripts/split_data.py"
        )
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

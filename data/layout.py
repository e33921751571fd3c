"""What a data folder looks like: which `--dataset_mode` could read it, and what to type where its
folders are called otherwise."""

import os
import re
import shlex
from collections.abc import Iterable

from data.image_folder import list_images, subfolders
from data.pair_rules import Rule, example, suggest, suggest_within
from data.pairs import KNOWN_PHASES, stem_key
from util.errors import BadImage
from util.images.header import read_header

Folders = tuple[str, str]
Size = tuple[int, int]  # (width, height) px
KINDS = {"aligned": ("paired data", "pix2pix"), "unaligned": ("unpaired data", "cycle_gan"),
         "colorization": ("photographs", "colorization")}  # fmt: skip
SYNONYMS = {"train": ("train", "training", "trn"), "test": ("test", "testing", "tst"),
            "val": ("val", "valid", "validation", "dev")}  # fmt: skip
SAMPLE = 16  # files that are looked at, at equal distances
MOSTLY = 0.9  # of the larger side: names that are mere numbers agree by chance below


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
    named = any(_of_phase(name) for name in subfolders(root)) or near_names(root, phase)
    if named or two_domains(root):
        return None  # another phase's, or flat domains: which is meant nobody knows
    return root if list_images(root).images else None


def are_pairs(source: str) -> bool:
    """Whether images look like pairs A|B side by side, by a sample of them."""
    sizes = sizes_of([source] if os.path.isfile(source) else list_images(source).images)
    return 2 * sum(width == 2 * height for width, height in sizes.values()) > len(sizes)


def likely_modes(root: str, phase: str) -> dict[str, str]:
    """`--dataset_mode` -> why, the likeliest first; empty if nothing is recognised."""
    found: dict[str, str] = {}
    together = list_images(os.path.join(root, phase)).images if _has(root, phase) else []
    sizes = sizes_of(together)
    halves = [path for path, (width, height) in sizes.items() if width == 2 * height]
    folders = domain_folders(root, phase)
    if 2 * len(halves) > len(sizes):
        found["aligned"] = f"{halves[0]} is twice as wide as high, so it may be a pair A|B"
    if folders:
        if why := why_pairs(*folders):
            found["aligned"] = why
        else:
            found["unaligned"] = f"{folders[0]} and {folders[1]} hold no pairs, by their names"
    alone = together and not found and not near_names(root, phase)
    if alone and (why := why_pairs_within(os.path.join(root, phase), together)):
        found["aligned"] = why
    if together and not found:
        found["colorization"] = f"{os.path.join(root, phase)} holds single images"
    if not found and os.path.isdir(root) and list_images(root).images:
        found["single"] = f"{root} holds images, and no folder named for --phase {phase}"
    return found


def why_pairs_within(folder: str, paths: list[str]) -> str:
    """Why single images in a folder, in its sub-folders too, are pairs; empty if they do not seem
    to be.

    Args:
        paths: the images, which are not A|B side by side.
    """
    if inner := inner_domains(folder, paths):
        return f"{inner[0][0]} and {inner[0][1]} hold A and B"
    rule = suggest_within(paths, folder)
    if rule is None:
        return ""
    names = example(rule, paths, folder, paths, folder)
    return f"{folder} holds pairs by their names, as {names}, by --pairs '{rule}'"


def inner_domains(folder: str, paths: list[str]) -> list[Folders]:
    """The folders of A and of B, in each sub-folder of a class, that hold nearly all images of a
    folder: cat/A and cat/B, dog/A and dog/B; none if they lie otherwise."""
    if two := two_domains(folder):
        return [two]
    found = []
    for outer in sorted({os.path.dirname(os.path.dirname(path)) for path in paths}):
        two = two_domains(outer) if outer.startswith(os.path.join(folder, "")) else None
        found += [two] * bool(two)
    inside = [path for path in paths if any(os.path.dirname(path) in two for two in found)]
    return found if len(inside) >= MOSTLY * max(1, len(paths)) else []


def why_pairs(A_folder: str, B_folder: str) -> str:
    """Why the images of two folders are pairs; empty if they do not seem to be.

    Names that only count (000, 001, ...) say little: then nearly all of them have to agree, and
    the sizes of partners too.
    """
    folders = A_folder, B_folder
    paths = [list_images(folder).images for folder in folders]
    where, most = f"{A_folder} and {B_folder}", max(map(len, paths))
    A, B = ({stem_key(p, f): p for p in side} for side, f in zip(paths, folders, strict=True))
    both = sorted(A.keys() & B.keys())
    if 2 * len(both) > most and (_telling(both) or (
        len(both) >= MOSTLY * most and _same_sizes([(A[key], B[key]) for key in both])
    )):  # fmt: skip
        same = "the same names" if len(both) == most else "mostly the same names"
        return f"{where} hold {same}{_doubt(both)}"
    rule = near_rule(A_folder, B_folder)
    if rule is None:
        return ""
    names = sorted(rule.keys("A", paths[0], A_folder))
    return f"{where} hold names that nearly match, by --pairs '{rule}'{_doubt(names)}"


def _doubt(names: list[str]) -> str:
    """The other reading of two folders whose names only count."""
    if _telling(names):
        return ""
    return (
        ", which only count; if image 1 of A is not that of B, they are two sets: --dataset_mode "
        "unaligned, as of --model cycle_gan"
    )


def near_rule(A_folder: str, B_folder: str) -> Rule | None:
    """The `--pairs` by which the images of two folders are pairs, where their names do not agree as
    they are."""
    A, B = (list_images(folder).images for folder in (A_folder, B_folder))
    if not A or not B or {stem_key(p, A_folder) for p in A} & {stem_key(p, B_folder) for p in B}:
        return None
    rule = suggest(A, A_folder, B, B_folder)
    by_A, by_B = ({rule.key(side, p, folder): p for p in paths} if rule else {}
                  for side, paths, folder in (("A", A, A_folder), ("B", B, B_folder)))  # fmt: skip
    both = sorted((by_A.keys() & by_B.keys()) - {None})
    if len(both) < MOSTLY * max(len(A), len(B)):
        return None
    return rule if _telling(both) or _same_sizes([(by_A[k], by_B[k]) for k in both]) else None


def _telling(keys: list[str]) -> bool:
    """Whether names are more than numbers with the same text around them."""
    return len({re.sub(r"\d+", "", key) for key in keys}) > max(2, len(keys) // 2)


def _same_sizes(pairs: list[tuple[str, str]]) -> bool:
    """Whether most partners of a sample have the same size; where none can be read, they may."""
    some = pairs[:: -(-len(pairs) // SAMPLE)]
    sizes = sizes_of([path for pair in some for path in pair], len(some) * 2)
    known = [(sizes[A], sizes[B]) for A, B in some if A in sizes and B in sizes]
    return 2 * sum(A == B for A, B in known) >= len(known)


def sizes_of(paths: list[str], most: int = SAMPLE) -> dict[str, Size]:
    """File -> its size, of at most so many, at equal distances; without those that cannot be
    read."""
    found = {}
    for path in paths[:: -(-len(paths) // most) or 1]:
        try:
            found[path] = read_header(path).size
        except (BadImage, OSError):
            continue
    return found


def hint(root: str, phase: str, mode: str) -> str:
    """`; did you mean ...?` for a folder that `mode` cannot read, or an empty string."""
    if told := undivided(root):
        return f"; {told}"
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
    for other in KNOWN_PHASES:
        if other != phase and mode in likely_modes(root, other):
            return f"; did you mean --phase {other}?"
    return ""


def near_names(root: str, phase: str) -> str:
    """`; did you mean ...?`, and what to type, where the folders of a phase are called nearly as
    they should be, as TrainA, train_A, train/A or training; empty if there are none."""
    words = SYNONYMS.get(phase.lower(), (phase.lower(),))
    sides = [
        _called(root, [form for word in words for form in (word + side, side + word)])
        for side in "ab"
    ]
    if all(sides):
        wanted = [os.path.join(root, phase + side) for side in "AB"]
        there = [os.path.join(root, side) for side in sides]
    else:
        name = _called(root, words)
        wanted, there = [os.path.join(root, phase)], [os.path.join(root, name)] * bool(name)
    moves = [(old, new) for old, new in zip(there, wanted, strict=False) if old != new]
    if not moves or any(os.path.exists(new) and not _same_file(old, new) for old, new in moves):
        return ""
    return f"; did you mean {' and '.join(old for old, _ in moves)}? Type: {move(moves)}"


def move(moves: Iterable[tuple[str, str]]) -> str:
    """Commands that give folders the names which are read."""
    return " && ".join(shlex.join(["mv", old, new]) for old, new in moves)


def _called(root: str, forms: Iterable[str]) -> str:
    """The folder below `root`, one or two deep, whose letters are one of `forms`; or empty."""
    names = subfolders(root)
    names += [f"{outer}/{name}" for outer in names for name in subfolders(f"{root}/{outer}")]
    forms = set(forms)
    return next((n for n in names if re.sub(r"[^a-z0-9]", "", n.lower()) in forms), "")


def _same_file(old: str, new: str) -> bool:
    """On a disk that does not tell cases apart."""
    return os.path.samefile(old, new)


def two_domains(folder: str) -> Folders | None:
    """The two sub-folders that hold all of a folder's images, one domain each: called A and B, also
    imagesA or photos_b, or with names of pairs that are more than numbers."""
    inside = [os.path.join(folder, name) for name in subfolders(folder) if not _of_phase(name)]
    filled = [path for path in inside if list_images(path).images]
    if len(filled) != 2:
        return None
    direct = [path for path in list_images(folder).images if os.path.dirname(path) == folder]
    if direct:
        return None
    A, B = filled
    if lettered(A, B) or _telling(_common(A, B)) and why_pairs(A, B):
        return A, B
    return None


def lettered(A: str, B: str) -> bool:
    """Whether folders are called for domain A and domain B."""
    form = r"(?:|.*[^a-zA-Z]){0}|.*[a-z]{1}"  # a, x_A, xA
    names = zip((A, B), "ab", strict=True)
    return all(
        re.fullmatch(
            form.format(f"[{letter}{letter.upper()}]", letter.upper()), os.path.basename(p)
        )
        for p, letter in names
    )


def _of_phase(name: str) -> bool:
    words = [word for words in SYNONYMS.values() for word in words]
    return re.sub(r"[^a-z]", "", name.lower()) in {
        w + side for w in words for side in ("", "a", "b")
    }


def _common(A: str, B: str) -> list[str]:
    keys = [{stem_key(path, folder) for path in list_images(folder).images} for folder in (A, B)]
    return sorted(keys[0] & keys[1])


def undivided(root: str) -> str:
    """What to type for the images of A and B in two folders that are not divided into phases."""
    if not (folders := two_domains(root)):
        return ""
    A, B = folders
    why = why_pairs(A, B)
    out = os.path.abspath(root).rstrip(os.sep) + "_divided"
    command = shlex.join(["python", "scripts/split_data.py", "--images_A", A, "--images_B", B,
                          "--out", out])  # fmt: skip
    model = "pix2pix" if why else "cycle_gan"
    told = f"{why}: pairs" if why else f"{A} and {B} hold images of two kinds"
    table = "; or name them in a table, --pairs FILE.csv" if why else ""
    return (
        f"{told}, not divided into train and test; type: {command}, then train with --dataroot "
        f"{shlex.quote(out)} --model {model}{table}"
    )


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

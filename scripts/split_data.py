"""Divide images into train, val and test by a hash of their names.

    python scripts/split_data.py --images photos --out datasets/photos
    python scripts/split_data.py --images_A photos --images_B drawings --out datasets/drawings

The first writes train, val and test into the output folder, the second trainA, trainB, valA, ...;
--images_A or --images_B alone will do. Sub-folders are kept. --share gives the proportions, 8 1 1
as well as 0.8 0.1 0.1; they are met nearly, the better the more images there are.

An image's name alone decides, the path below its folder without extension and without _A or _B: so
images that are added later move no other, and partners come to the same split (--pairs says how
their names differ otherwise: '*_in:*_out'). The same command again adds what is new. A file that is
there with other content, or in another split, is refused before anything is written.
"""

import argparse
import bisect
import filecmp
import hashlib
import itertools
import math
import os
import sys
import unicodedata
from pathlib import Path

import _root

from data.image_folder import some_images
from data.layout import near_rule
from data.pair_rules import Rule, needed_rule
from data.pairs import stem_key
from scripts.tool import ToolParser, for_each, refuse_inside, write
from util import atomic
from util.errors import UserError, one_line_errors, say, shown, warn
from util.record import counted

SPLITS = ("train", "val", "test")


def parser() -> ToolParser:
    parser = ToolParser(__doc__)
    parser.add_argument("--images", type=Path, help="folder of the images")
    parser.add_argument("--images_A", type=Path, help="folder of domain A")
    parser.add_argument("--images_B", type=Path, help="folder of domain B")
    parser.add_argument("--out", type=Path, required=True, help="where the splits go")
    parser.add_argument(
        "--share",
        type=float,
        nargs=3,
        default=[0.8, 0.1, 0.1],
        metavar=("TRAIN", "VAL", "TEST"),
        help="proportions; 0.8 0.1 0.1",
    )
    parser.add_argument("--pairs", metavar="RULE", help="how names differ, as '*_in:*_out'")
    parser.add_argument("--link", action="store_true", help="symbolic links instead of copies")
    return parser


def place(key: str) -> float:
    """Where a name falls in [0, 1), on every machine."""
    name = unicodedata.normalize("NFC", Path(key).as_posix())
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:6]) / 2**48


def split_of(key: str, shares: list[float]) -> str:
    """The split that a name belongs to."""
    bounds = [bound / sum(shares) for bound in itertools.accumulate(shares)]
    return SPLITS[bisect.bisect_right(bounds[:2], place(key))]


def sources(args: argparse.Namespace) -> dict[str, Path]:
    """Domain ("" if there is one only) -> folder."""
    domains = {"": args.images, "A": args.images_A, "B": args.images_B}
    given = {domain: folder for domain, folder in domains.items() if folder is not None}
    if not given or len(given) > 1 and "" in given:
        raise UserError("give either --images, or --images_A and --images_B (or one of them)")
    return given


def check_shares(shares: list[float]) -> None:
    if not all(math.isfinite(s) and s >= 0 for s in shares) or not sum(shares):
        given = " ".join(f"{share:g}" for share in shares)
        raise UserError(f"--share {given}: accepted: three proportions, as 0.8 0.1 0.1")


def check_apart(out: Path, given: dict[str, Path]) -> None:
    """Folders that are read and the splits' folders must not lie in each other."""
    for folder in given.values():
        refuse_inside(out, folder, "--out")
        for target in (out / f"{split}{domain}" for split in SPLITS for domain in given):
            if folder.resolve().is_relative_to(target.resolve()):
                raise UserError(f"{folder}: inside {target}, which is written; give another --out")


def key_of(path: str, folder: str, domain: str, rule: Rule | None) -> str:
    """What an image and its partner have in common."""
    key = rule.key(domain, path, folder) if rule and domain else stem_key(path, folder)
    if key is None:
        raise UserError(f"{path}: not of the form --pairs {rule}; give another, or move it away")
    return key


def warn_of_near_names(given: dict[str, Path], rule: Rule | None) -> None:
    """Partners come to one split by their names: say so if these only nearly match."""
    two = rule is None and given.keys() == {"A", "B"}
    if two and (near := near_rule(*map(str, given.values()))):
        warn(f"names nearly match: --pairs '{near}' brings partners to the same split")


def plan(
    folder: Path, out: Path, domain: str, shares: list[float], rule: Rule | None = None
) -> list[tuple[Path, Path]]:
    """(image, its file in a split), for the images of one domain."""
    moves = []
    for path in some_images(str(folder)):
        below = Path(path).relative_to(folder)
        split = split_of(key_of(path, str(folder), domain, rule), shares)
        for other in SPLITS:
            if other != split and os.path.lexists(there := out / f"{other}{domain}" / below):
                raise UserError(
                    f"{there}: is there, but these shares put it into {split}{domain}; "
                    "give the same --share as before, or an empty --out"
                )
        moves.append((Path(path), out / f"{split}{domain}" / below))
    return moves


def is_new(image: Path, target: Path) -> bool:
    """Whether an image is still to be put; UserError if something else is in its place."""
    if not os.path.lexists(target):
        return True
    if target.is_file() and (target.samefile(image) or filecmp.cmp(image, target, shallow=False)):
        return False
    raise UserError(f"{target}: is there and differs from {image}; give another --out")


def content_of(image: Path) -> bytes:
    atomic.refuse_special(image)
    try:
        return image.read_bytes()
    except OSError as error:
        raise UserError(f"{image}: cannot be read ({error.strerror})") from error


def put(image: Path, target: Path, link: bool) -> None:
    """Copy or link one image."""
    if not link:
        write(target, content_of(image))
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(image.absolute())
    except OSError as error:
        raise UserError(
            f"{target}: a link cannot be made here ({error.strerror}); copy, without --link"
        ) from error


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Divide; returns the exit code."""
    args = parser().parse_args(argv)
    check_shares(args.share)
    check_apart(args.out, given := sources(args))
    rule = needed_rule(args.pairs)
    by_domain = {
        domain: plan(folder, args.out, domain, args.share, rule) for domain, folder in given.items()
    }
    warn_of_near_names(given, rule)
    moves = [move for moves in by_domain.values() for move in moves]
    for_each(put, [(*move, args.link) for move in moves if is_new(*move)], parallel=False)
    for domain, moves in by_domain.items():
        for split, share in zip(SPLITS, args.share, strict=True):
            folder = args.out / f"{split}{domain}"
            count = sum(target.is_relative_to(folder) for _, target in moves)
            say(shown(f"{split}{domain}: {counted(count, 'image')} in {folder}"))
            if share and not count:
                warn(f"no image came to {split}{domain}; there are few, or its share is small")
    return 0


if __name__ == "__main__":
    sys.exit(main())

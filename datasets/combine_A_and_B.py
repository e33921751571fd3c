"""Put the pictures of two folders side by side, A left and B right (--dataset_mode aligned).

    python datasets/combine_A_and_B.py --fold_A A --fold_B B --fold_AB AB

A and B hold one sub-folder per split (train, val, test), and AB gets the same; or the images
directly. Partners have equal names, or names that end in _A and _B: 1.jpg and 1.png, 1_A.jpg and
1_B.jpg (these become 1.jpg). They must be of one size.

A combined file has the extension of both, or .png if they differ, or would lose colours (GIF);
JPEG is written with quality 95 and full colour resolution. Rotation noted by a camera is applied,
transparency becomes white. What cannot work is told before anything is written. 16-bit and float
images are refused, since they would be cut to 8 bits; --dataset_mode aligned reads separate folders
trainA and trainB as well. --pairs '*_in:*_out' says how names of partners differ otherwise.
"""

import argparse
import os
import sys
from pathlib import Path

import _root

from data.image_folder import is_image_file, some_images, subfolders
from data.order import in_order
from data.pair_rules import Rule, needed_rule
from data.pairs import pair_by_stem, stem_key
from scripts.tool import (
    ToolParser,
    eight_bit_header,
    for_each,
    glue,
    refuse_inside,
    save_picture,
)
from util.errors import UserError, one_line_errors, say, shown
from util.images.pillow_format import PillowFormat
from util.images.read import load_image

APART = (
    "keep the folders A/ and B/ apart, as trainA and trainB of one folder: "
    "--dataset_mode aligned reads them"
)


def parser() -> ToolParser:
    parser = ToolParser(__doc__)
    parser.add_argument("--fold_A", required=True, help="folder of the left pictures")
    parser.add_argument("--fold_B", required=True, help="folder of the right pictures")
    parser.add_argument("--fold_AB", required=True, help="where the combined ones go")
    parser.add_argument("--num_imgs", type=int, help="so many pairs per split at most; all")
    parser.add_argument("--pairs", metavar="RULE", help="how names differ, as '*_in:*_out'")
    parser.add_argument(
        "--use_AB", action="store_true", help="accepted; endings _A and _B are always understood"
    )
    parser.add_argument("--no_multiprocessing", action="store_true", help="in this process alone")
    return parser


def splits(A: str, B: str) -> list[str]:
    """Names of the splits; [""] if the images lie directly in A."""
    for folder in (A, B):
        if not os.path.isdir(folder):
            raise UserError(f"{folder}: not a folder")
    if any(is_image_file(name) for name in os.listdir(A)):
        return [""]
    in_A, in_B = (set(subfolders(f)) for f in (A, B))
    if alone := sorted(in_A ^ in_B):
        has, lacks = (A, B) if alone[0] in in_A else (B, A)
        raise UserError(f"{lacks}: no folder {alone[0]}, which {has} has; add it, or move it away")
    if not in_A:
        some_images(A)  # tells what there is instead
    return in_order(in_A)


def pairs_of(A: str, B: str, rule: Rule | None = None) -> list[tuple[str, str]]:
    """Of one split, sorted."""
    A_paths, B_paths = (some_images(folder) for folder in (A, B))
    return pair_by_stem(A_paths, A, B_paths, B, rule=rule)


def check(A: str, B: str) -> None:
    """Refuse a pair that its headers tell will not go into one file."""
    sizes = ["x".join(map(str, eight_bit_header(path, APART).size)) for path in (A, B)]
    if sizes[0] != sizes[1]:
        raise UserError(
            f"{A} is {sizes[0]} px, {B} {sizes[1]}: partners must be of one size; scale one of them"
        )


def combined_name(A: str, B: str, fold_A: str) -> str:
    """Below the folder of the split: what the partners' names have in common."""
    ending = os.path.splitext(A)[1]
    same = ending.lower() == os.path.splitext(B)[1].lower() not in PillowFormat.extensions
    return stem_key(A, fold_A) + (ending if same else ".png")


def combine(A: str, B: str, AB: Path) -> None:
    """Write one combined file."""
    left, right = load_image(A), load_image(B)
    try:
        both = glue(left, right)
    except UserError as error:
        raise UserError(f"{A}, {B}: {error}") from error
    save_picture(both, AB)


def plan(args: argparse.Namespace) -> dict[str, list[tuple[str, str, Path]]]:
    """Split -> (A, B, combined file), all checked."""
    jobs, rule = {}, needed_rule(args.pairs)
    for split in splits(args.fold_A, args.fold_B):
        A, B, AB = (os.path.join(f, split) for f in (args.fold_A, args.fold_B, args.fold_AB))
        for folder in (args.fold_A, args.fold_B):
            refuse_inside(AB, folder, "--fold_AB")
        pairs = pairs_of(A, B, rule)[: args.num_imgs]
        for pair in pairs:
            check(*pair)
        jobs[split] = [(*pair, Path(AB, combined_name(*pair, A))) for pair in pairs]
    return jobs


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Combine; returns the exit code."""
    args = parser().parse_args(argv)
    if args.num_imgs is not None and args.num_imgs < 1:
        raise UserError(f"--num_imgs {args.num_imgs}: accepted: 1 or more")
    by_split = plan(args)
    everything = [job for jobs in by_split.values() for job in jobs]
    for_each(combine, everything, parallel=not args.no_multiprocessing)
    for split, jobs in by_split.items():
        say(shown(f"{split or 'images'}: {len(jobs)} pairs in {Path(args.fold_AB, split)}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

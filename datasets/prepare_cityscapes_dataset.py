"""Make the Cityscapes set of pix2pix and CycleGAN: street photographs and label maps, 256x256.

    python datasets/prepare_cityscapes_dataset.py --gtFine_dir G --leftImg8bit_dir L --output_dir O

The licence of Cityscapes does not let others hand the images on. Register at
https://www.cityscapes-dataset.com, accept its terms, download gtFine_trainvaltest.zip and
leftImg8bit_trainvaltest.zip, and unpack both. Read are G/<phase>/<city>/*_gtFine_color.png and
L/<phase>/<city>/*_leftImg8bit.png; partners have equal names before the suffix.

The phases train and val become train and test of O, counted from 0:
    train/0.jpg         photograph left, label map right (--dataset_mode aligned --direction BtoA)
    trainA/0_A.jpg      the photograph (--dataset_mode unaligned)
    trainB/0_B.jpg      the label map
"""

import sys
from pathlib import Path

import _root

from PIL import Image

from scripts.tool import ToolParser, for_each, glue, refuse_inside, save_picture
from util.errors import UserError, one_line_errors, say, shown
from util.images.read import load_image

SIZE = (256, 256)
PHASES = {"train": "train", "val": "test"}  # Cityscapes keeps the labels of its own test set


def parser() -> ToolParser:
    parser = ToolParser(__doc__)
    parser.add_argument("--gtFine_dir", type=Path, required=True, help="the label maps")
    parser.add_argument("--leftImg8bit_dir", type=Path, required=True, help="the photographs")
    parser.add_argument("--output_dir", type=Path, required=True, help="where the set goes")
    return parser


def named(folder: Path, suffix: str) -> dict[str, Path]:
    """<city>/<name before the suffix> -> file."""
    if not folder.is_dir():
        raise UserError(f"{folder}: not a folder; unpack the archives of Cityscapes, see --help")
    files = sorted(folder.glob(f"*/*{suffix}"))
    if not files:
        raise UserError(f"{folder}: no file */*{suffix} in it; unpack the archive of Cityscapes")
    return {file.relative_to(folder).as_posix().removesuffix(suffix): file for file in files}


def pairs(gtFine: Path, leftImg8bit: Path) -> list[tuple[Path, Path]]:
    """(photograph, label map) of a phase, sorted."""
    photos, labels = named(leftImg8bit, "_leftImg8bit.png"), named(gtFine, "_gtFine_color.png")
    if alone := sorted(photos.keys() ^ labels.keys()):
        lacks, file = (gtFine, photos) if alone[0] in photos else (leftImg8bit, labels)
        raise UserError(
            f"{file[alone[0]]}: no partner in {lacks} ({len(alone)} files have none); "
            "unpack both archives anew"
        )
    return [(photos[key], labels[key]) for key in photos]


def convert(photo: Path, labels: Path, folder: Path, index: int) -> None:
    """Write the three files of a pair."""
    A, B = (load_image(str(p)).resize(SIZE, Image.Resampling.BICUBIC) for p in (photo, labels))
    save_picture(glue(A, B), folder / f"{index}.jpg", quality=100)
    save_picture(A, Path(f"{folder}A", f"{index}_A.jpg"), quality=100)
    save_picture(B, Path(f"{folder}B", f"{index}_B.jpg"), quality=100)


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Convert; returns the exit code."""
    args = parser().parse_args(argv)
    for source in (args.gtFine_dir, args.leftImg8bit_dir):
        refuse_inside(args.output_dir, source, "--output_dir")
    plan = {
        args.output_dir / name: pairs(args.gtFine_dir / phase, args.leftImg8bit_dir / phase)
        for phase, name in PHASES.items()
    }
    jobs = [(*pair, out, i) for out, found in plan.items() for i, pair in enumerate(found)]
    for_each(convert, jobs)
    for folder, found in plan.items():
        say(shown(f"{folder.name}: {len(found)} pairs in {folder}, {folder}A, {folder}B"))
    return 0


if __name__ == "__main__":
    sys.exit(main())

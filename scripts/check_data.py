"""Look at a data set before hours are spent on it: every file is decoded.

    python scripts/check_data.py --dataroot ./datasets/facades
    python scripts/check_data.py --dataroot ./datasets/maps --dataset_mode unaligned --page

Tells what is there (count, sizes, channels, depth) and what is wrong: unreadable and cut-off files,
missing partners, sizes that do not fit, names that are there twice, empty folders, another layout
than the mode's. Without --dataset_mode it tells which one fits. train.py does the same at its
start, reading headers only. All flags of train.py are taken too, e.g. --preprocess none.

Exit code: 0 if nothing is wrong, 2 otherwise, 1 if the report could not be written.
"""

import argparse
import contextlib
import itertools
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import _root

import numpy as np
from PIL import Image

import data
from data.base_dataset import BaseDataset, get_transform
from data.check import Findings, doubts, look_at, refuse_mixed_sizes
from data.image_folder import list_images
from data.label_maps import ToClasses
from data.layout import (
    are_pairs,
    domain_folders,
    likely_modes,
    near_names,
    near_rule,
    undivided,
)
from data.pair_rules import suggest_within
from data.pairs import KNOWN_PHASES
from models.generators import GENERATORS, check_image_sizes
from options.train_options import TrainOptions
from scripts.tool import reports
from util.atomic import check_readable, own_folder
from util.errors import BadImage, UserError, log, one_line_errors, say, shown
from util.images.convert import save_image, tensor2im
from util.images.read import load_image
from util.labels.colours import coloured, legend
from util.machine import cores
from util.record import command_line, counted
from util.results.gallery import ResultPage

THUMBNAILS = 24  # of a side of a phase
THUMBNAIL_PX = 160
KEEP = {"preprocess": "keep", "load_size": 1, "crop_size": 1, "no_flip": True}


def parser() -> argparse.ArgumentParser:
    """The script's own flags."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataroot", required=True, help="folder of the images")
    parser.add_argument("--dataset_mode", choices=data.registry.names(), help="how it is read")
    parser.add_argument("--phase", nargs="+", help="folders to look at; default: those there are")
    parser.add_argument("--page", nargs="?", type=Path, const=Path("data_check"), metavar="FOLDER",
                        help="write a contact sheet, FOLDER/index.html")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="headers only, as train.py does")
    return parser


@dataclass
class Sheet:
    """A page of some images of each side, and of what is wrong with others.

    Args:
        folder: that it is written to.
        facts: name -> value, shown at its top.
        legend: HTML that explains the colours of label maps.
    """

    folder: Path
    facts: dict[str, str]
    rows: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    legend: str = ""

    def add(self, phase: str, found: Findings, dataset: BaseDataset) -> None:
        """Rows for a phase: its sides beside each other, then the files that are at fault."""
        own_folder(self.folder / "images")
        self.legend = legend(dataset.shown_labels())
        shown = {}
        for side, paths in dataset.checked_files().items():
            good = [path for path in paths if path not in found.bad]
            shown[side] = []
            for path in good[:: max(1, len(good) // THUMBNAILS)][:THUMBNAILS]:
                file = f"images/{phase}_{side}_{len(shown[side]):03d}.png"
                if thumbnail(dataset, path, side, self.folder / file):
                    name = f"{Path(path).name}: {found.headers[path].describe()}"
                    shown[side].append((f"{side} {name}", side, file))
            some = f", {len(shown[side])} of them shown" * (len(shown[side]) < len(paths))
            self.facts[f"{phase} {side}"] = f"{counted(len(paths), 'image')}{some}"
        for row in itertools.zip_longest(*shown.values()):
            names, sides, files = zip(*filter(None, row), strict=True)
            self.rows.append(
                (f"{phase}: {' · '.join(names)}", dict(zip(sides, files, strict=True)), "")
            )
        self.rows += [(Path(path).name, {}, why) for path, why in found.bad.items()]

    def write(self, title: str) -> Path:
        """Write the page. Returns: its file."""
        file, width = self.folder / "index.html", THUMBNAIL_PX
        page = ResultPage(file, title, self.facts, {}, width, legend=self.legend)
        for row in self.rows:
            page.add_row(*row)
        return page.path


def thumbnail(dataset: BaseDataset, path: str, side: str, file: Path) -> bool:
    """Write a small picture; False if the file's values cannot be shown."""
    name, labels = "A" if side == "AB" else side, dataset.shown_labels()
    try:
        if side == "AB" and labels:
            small = load_image(path)
        elif name in labels:
            classes = ToClasses(labels[name])(dataset.picture(path, name)).values
            small = Image.fromarray(coloured(classes[..., 0], labels[name]))
        else:
            whole = get_transform(argparse.Namespace(**KEEP), None)(dataset.picture(path, name))
            small = Image.fromarray(tensor2im(whole[None]))
    except BadImage:
        return False
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    save_image(np.asarray(small), file)
    return True


@reports
@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Check; returns the exit code."""
    args, more = parser().parse_known_args(argv)
    phases = args.phase or [p for p in KNOWN_PHASES if likely_modes(args.dataroot, p)] or ["train"]
    phases = [p for p in phases if "single" not in likely_modes(args.dataroot, p)] or phases[:1]
    mode = args.dataset_mode or ("aligned" if "--pairs" in more else guess(args.dataroot, phases))
    if not args.dataset_mode and "--pairs" not in more and mode == "aligned":
        more += rule_for(args.dataroot, phases)
    if args.page and args.page.resolve() == Path(args.dataroot).resolve():
        raise UserError(f"--page {args.page}: is the folder of the images; give another")
    sheet = Sheet(args.page, {"read as": f"--dataset_mode {mode}"}) if args.page else None
    wrong = 0
    if (
        mode in ("single", "colorization")
        and not args.dataset_mode
        and (told := misnamed(args.dataroot))
    ):
        say(f"--dataroot {args.dataroot}: {told.removeprefix('; ')}")
        wrong += 1
    for phase in phases:
        wrong += check_phase(args, mode, phase, more, sheet, f"{phase}: " * (len(phases) > 1))
    say(f"at fault: {wrong}" if wrong else "no file is at fault")
    if sheet:
        say(f"contact sheet: {sheet.write(f'Data: {args.dataroot}')}")
    return 2 if wrong else 0


def check_phase(
    args: argparse.Namespace, mode: str, phase: str, more: list[str], sheet: Sheet | None, what: str
) -> int:
    """Look at the files of a phase, and tell. Returns: how many are at fault."""
    wrong = 0
    try:
        dataset, opt = open_dataset(args.dataroot, mode, phase, more, "stop")
    except UserError as error:  # told, and the rest is looked at without what it names
        say(f"{what}{shown(error)}")
        wrong += 1
        try:
            with without(str(error)):
                dataset, opt = open_dataset(args.dataroot, mode, phase, more, "skip")
        except UserError:
            return wrong
    workers = 0 if args.quick else cores()
    found = look_at(dataset.expected(), workers)
    for check in (
        lambda: refuse_mixed_sizes(found, opt.batch_size, opt.preprocess),
        lambda: "--netG" in more and check_image_sizes(
            found.sizes, GENERATORS[opt.netG].sides, opt.netG, opt.preprocess),
    ):  # fmt: skip
        try:
            check()
        except UserError as error:
            say(f"{what}{shown(error)}")
            wrong += 1
    if sheet:
        sheet.add(phase, found, dataset)
    return wrong + tell(what, found, dataset, mode)


@contextlib.contextmanager
def without(told: str) -> Iterator[None]:
    """While it is entered, what a message begins with is not said once more."""
    begins = shown(told).partition("; ")[0]

    def is_new(record: logging.LogRecord) -> bool:
        return not shown(record.getMessage()).startswith(begins)

    log.addFilter(is_new)
    try:
        yield
    finally:
        log.removeFilter(is_new)


def guess(root: str, phases: list[str]) -> str:
    """The likeliest `--dataset_mode`, said with the reason."""
    check_readable(root, "--dataroot")
    modes = likely_modes(root, phases[0])
    if not modes:
        where = "a file, not a folder" if os.path.isfile(root) else "no such folder"
        if os.path.isdir(root):
            where = f"no image in it{list_images(root).describe_absence()}"
        raise UserError(f"--dataroot {root}: {where}; give the folder of the images")
    mode, why = next(iter(modes.items()))
    say(f"read as --dataset_mode {mode}: {why}")
    return mode


def rule_for(root: str, phases: list[str]) -> list[str]:
    """`--pairs` and the rule by which names of A and B are those of pairs, if they need one; said,
    since train.py needs it too."""
    folders, together = domain_folders(root, phases[0]), os.path.join(root, phases[0])
    if folders:
        rule = near_rule(*folders)
    else:
        paths = list_images(together).images if os.path.isdir(together) else []
        rule = None if are_pairs(together) else suggest_within(paths, together)
    if rule is None:
        return []
    flags = {"dataroot": root, "name": "NAME", "model": "pix2pix", "pairs": rule}
    say(f"train.py and test.py need the rule: {command_line(['python', 'train.py'], flags)}")
    return ["--pairs", str(rule)]


def misnamed(root: str) -> str:
    """What to type where folders seem to be meant for training, and are called otherwise."""
    return next(
        filter(None, [*(near_names(root, phase) for phase in KNOWN_PHASES), undivided(root)]), ""
    )


def open_dataset(
    root: str, mode: str, phase: str, more: list[str], bad_images: str
) -> tuple[BaseDataset, argparse.Namespace]:
    """(data set, options) as train.py would make them of the flags."""
    own = ["--dataroot", root, "--dataset_mode", mode, "--phase", phase]
    model = [] if "--model" in more else ["--model", "template"]
    opt = TrainOptions().parse([*model, *own, "--bad_images", bad_images, "--gpu_ids", "-1", *more])
    return data.find_dataset_using_name(mode)(opt), opt


def tell(what: str, found: Findings, dataset: BaseDataset, mode: str) -> int:
    """Print what is in the files of a phase. Returns: how many are at fault."""
    files = dataset.checked_files()
    for side, paths in files.items():
        of_side = f" of {side}" if len(files) > 1 else ""
        say(f"{what}{counted(len(paths), 'image')}{of_side}")
        names = Counter(Path(path).stem for path in paths)
        if twice := [name for name, count in names.items() if count > 1]:
            names = ", ".join(map(shown, twice[:5]))
            say(f"{what}names there more than once: {names}; results are called x and x_png")
    say(f"{what}{found.describe()}")
    for line in [*doubts(found, mode), *found.bad.values()]:
        say(f"{what}{shown(line)}")
    if not files:
        say(f"{what}--dataset_mode {mode} reads its files in its own way; they were not looked at")
    return len(found.bad)


if __name__ == "__main__":
    sys.exit(main())

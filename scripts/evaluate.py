"""Figures for how good results are: for every picture, and the mean with its interval.

    python scripts/evaluate.py results/maps/test_latest --metrics psnr ssim l1
    python scripts/evaluate.py --real photos --fake made --csv figures.csv --json figures.json

Either folders that test.py has written: there every visual that has a ground truth is measured
(fake_B against real_B of pairs; rec_A against real_A of a cycle), and the figures go into the
folder's metrics.jsonl and page, to sort by. Or two folders of any other program's images, matched
by name without extension, sub-folders included.

Pictures are measured as written: 8-bit from 0 to 255, 16-bit from 0 to 65535. Behind each mean
stands its 95 % bootstrap interval over pictures, drawn from --seed. docs/metrics.md has the
definitions.
"""

import csv
import io
import json
import math
import sys
from pathlib import Path

import _root

import numpy as np
from tqdm import tqdm

from scripts.compare import truth_of
from scripts.tool import ToolParser, reports, write
from util.atomic import check_readable, stays
from util.errors import BadImage, UserError, begun, one_line_errors, say, shown
from util.images.formats import extensions
from util.images.header import read_header
from util.images.read import decode_stored, read_bytes, read_picture
from util.metrics import registry
from util.metrics.intervals import bootstrap_interval
from util.results.folder import METRICS_FILE, is_ours, read_metrics, read_rows, show_metrics

Pair = tuple[str, str, Path, Path]  # stem, visual ("" of two folders), fake, real
Figures = dict[str, dict[str, float]]  # stem -> name of a figure -> its value


def parser() -> ToolParser:
    parser = ToolParser(__doc__)
    parser.add_argument("results", nargs="*", type=Path, help="folders that test.py has written")
    parser.add_argument("--real", type=Path, metavar="DIR", help="images as they should be")
    parser.add_argument("--fake", type=Path, metavar="DIR", help="images to measure")
    parser.add_argument("--metrics", nargs="+", default=["psnr", "ssim", "l1"], metavar="NAME",
                        choices=registry.names(),
                        help=f"of {', '.join(registry.names())}; psnr ssim l1")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="means, intervals, all figures")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="a line for each picture")
    parser.add_argument("--seed", type=int, default=0, help="of the intervals; 0")
    return parser


@one_line_errors
@reports
def main(argv: list[str] | None = None) -> int:
    """Evaluate; returns the exit code."""
    args = parser().parse_args(argv)
    if bool(args.results) == bool(args.real or args.fake) or bool(args.real) != bool(args.fake):
        raise UserError("give folders of results, or --real DIR and --fake DIR")
    if args.seed < 0:
        raise UserError(f"--seed {args.seed}: accepted: 0 or more")
    if args.results:
        work = {str(folder): pairs_of_results(folder) for folder in args.results}
    else:
        work = {str(args.fake): pairs_of_folders(args.real, args.fake)}
    with begun():
        found = {name: measure(pairs, args.metrics) for name, pairs in work.items()}
    told = {name: summary(figures, args.seed) for name, figures in found.items()}
    for name, means in told.items():
        say(table(name, means))
    if args.json:
        write(args.json, as_json(found, told, args.seed))
    if args.csv:
        write(args.csv, as_csv(found))
    for folder in args.results:
        into_page(folder, found[str(folder)])
    return 0


def pairs_of_results(folder: Path) -> list[Pair]:
    """Every visual of a folder of results that has a ground truth, with it."""
    pairs = []
    if not is_ours(folder / "index.html"):
        check_readable(folder / "index.html")
        raise UserError(f"{folder}: no page of test.py in it; for other images: --real and --fake")
    for row in read_rows(folder):
        labels = list(row.pictures)
        for label in labels:
            if truth := truth_of(label, labels):
                files = [as_written(folder, row.files, row.pictures[name])
                         for name in (label, truth)]  # fmt: skip
                pairs.append((row.stem, label, *files))
    if not pairs:
        raise UserError(
            f"{folder}: nothing in it has a ground truth (real_B beside fake_B); "
            "give two folders, --real and --fake"
        )
    return pairs


def as_written(folder: Path, files: set[str], picture: str) -> Path:
    """The file that a page's picture stands for: deep and large ones are shown as small copies,
    which lead to the file itself."""
    name = Path(picture).stem
    others = sorted(f for f in files if Path(f).stem == name and f != picture)
    found = others[0] if others else picture
    if not stays(found):
        raise UserError(f"{folder}: its page leads to {found}, which is not in the folder")
    return folder / found


def pairs_of_folders(real: Path, fake: Path) -> list[Pair]:
    """The images of two folders by name.

    Raises:
        UserError: one has no partner, or two have one name.
    """
    reals, fakes = images_of(real, "--real"), images_of(fake, "--fake")
    if missing := sorted(reals.keys() ^ fakes.keys()):
        place, there = (fake, reals) if missing[0] in reals else (real, fakes)
        more = f" (and {len(missing) - 1} more)" if missing[1:] else ""
        raise UserError(
            f"{there[missing[0]]}: no image of that name in {place}{more}; "
            "the folders need the same names"
        )
    return [(stem, "", fakes[stem], reals[stem]) for stem in sorted(reals)]


def images_of(folder: Path, flag: str) -> dict[str, Path]:
    """Name without extension, in sub-folders with their names -> image."""
    check_readable(folder, flag)
    if not folder.is_dir():
        raise UserError(f"{flag} {folder}: no such folder")
    endings, found = extensions(), {}
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in endings and not file.name.startswith("."):
            stem = file.relative_to(folder).with_suffix("").as_posix()
            if stem in found:
                raise UserError(f"{file}: {found[stem].name} has the same name; remove one of them")
            found[stem] = file
    if not found:
        raise UserError(f"{flag} {folder}: no images in it")
    return found


def measure(pairs: list[Pair], metrics: list[str]) -> Figures:
    """Each picture's figures; several visuals are told apart by name."""
    several = len({label for _, label, _, _ in pairs}) > 1
    kinds = {name: registry.find(name) for name in metrics}
    for name, kind in kinds.items():
        if kind.needs != "pairs":
            raise UserError(f"--metrics {name}: it compares sets, not pairs; give another")
    found: Figures = {}
    for stem, label, fake, real in tqdm(pairs, unit="pair", disable=None, leave=False):
        made, own = stored(fake), stored(real)
        for name, kind in kinds.items():
            metric = kind()
            try:
                metric.update(made, own)
            except UserError as error:
                raise UserError(f"{fake}, {real}: {error}") from error
            key = f"{name} {label}" if several else name
            found.setdefault(stem, {})[key] = metric.compute()
    return found


def stored(path: Path) -> np.ndarray:
    """(1, H, W, C) as the file holds it."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; make the results anew")
    try:
        data = read_bytes(str(path))
        if read_header(str(path), data).deep:
            return decode_stored(str(path), data, np.asarray).values[None]
        return read_picture(str(path), None).values[None]
    except OSError as error:
        raise BadImage(str(path), f"cannot be read ({error.strerror})") from error


def summary(figures: Figures, seed: int) -> dict[str, dict]:
    """name -> mean, its interval, the number of pictures and the unit."""
    told = {}
    for name in dict.fromkeys(name for of_stem in figures.values() for name in of_stem):
        values = np.array([of[name] for of in figures.values() if name in of])
        kind = registry.find(name.split()[0])
        low, high = bootstrap_interval(values, seed)
        told[name] = {"mean": float(values.mean()), "low": low, "high": high,
                      "images": len(values), "unit": kind.unit, "better": kind.better}  # fmt: skip
    return told


def table(name: str, means: dict[str, dict]) -> str:
    """What the terminal shows of a folder."""
    width = max(len("metric"), *map(len, means))
    lines = [shown(name), f"{'metric':<{width}} {'mean':>10}  {'95 % interval':<22} images"]
    for metric, row in means.items():
        interval = f"{row['low']:.5g} to {row['high']:.5g}"
        told = f"{metric:<{width}} {row['mean']:>10.5g}  {interval:<22} {row['images']:>6}"
        lines.append(f"{told}  {row['unit']} ({row['better']} is better)".replace("   (", "  ("))
    return "\n".join(lines)


def as_json(found: dict[str, Figures], told: dict[str, dict], seed: int) -> bytes:
    """Means and figures; JSON has no infinity, which is written as text."""
    content = {name: {"means": told[name], "images": found[name]} for name in found}
    whole = {"seed": seed, "interval": "95 % percentile bootstrap", "folders": _finite(content)}
    return (json.dumps(whole, indent=1, allow_nan=False) + "\n").encode("utf-8", "surrogateescape")


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def as_csv(found: dict[str, Figures]) -> bytes:
    """folder, image, and a column for each figure."""
    rows = [(folder, stem, of) for folder, figures in found.items() for stem, of in figures.items()]
    names = list(dict.fromkeys(name for _, _, of in rows for name in of))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["folder", "image", *names])
    writer.writerows([folder, stem, *(of.get(name) for name in names)] for folder, stem, of in rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def into_page(folder: Path, figures: Figures) -> None:
    """The figures into metrics.jsonl, beside others that are there, and onto the page; infinite
    ones, which cannot be sorted by there, are left out."""
    known = read_metrics(folder)
    for stem, values in figures.items():
        kept = {k: v for k, v in known.get(stem, {}).items() if k not in values}
        known[stem] = kept | {k: v for k, v in values.items() if math.isfinite(v)}
    lines = [json.dumps({"stem": stem} | values) + "\n" for stem, values in known.items()]
    write(folder / METRICS_FILE, "".join(lines).encode("utf-8"))
    show_metrics(folder)


if __name__ == "__main__":
    sys.exit(main())

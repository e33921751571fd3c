"""Results of several tests side by side, on one page.

    python scripts/compare.py results/maps_1/test_latest results/maps_2/test_latest

Each folder is one that test.py has written; the name of a run, or its folder's path, stands for the
only one of its tests in ./results. Images are matched by name; what one folder lacks is
told. A visual that is the same in all folders, such as the input, is shown once, after those that
differ. Figures of metrics.jsonl are there to sort by; of two folders their difference too. The
page, index.html in `comparison` or in --out, links to the pictures where they are.
"""

import filecmp
import os
import sys
from pathlib import Path

import _root

from scripts.tool import ToolParser
from util.atomic import stays
from util.errors import UserError, one_line_errors, say, shown
from util.results.folder import Row, is_ours, read_metrics, read_rows
from util.results.gallery import ResultPage, set_metrics

PICTURE_PX = 256
Tests = dict[str, dict[str, Row]]  # name of a test -> stem -> row


def parser() -> ToolParser:
    parser = ToolParser(__doc__)
    parser.add_argument("results", nargs="+", type=Path, help="folders that test.py has written")
    parser.add_argument("--out", type=Path, default=Path("comparison"), metavar="FOLDER",
                        help="where the page goes; comparison")  # fmt: skip
    return parser


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    """Compare; returns the exit code."""
    args = parser().parse_args(argv)
    folders = [Path(os.path.normpath(results_of(folder))) for folder in args.results]
    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        raise UserError("give two or more different folders of results")
    page_path = args.out / "index.html"
    if args.out.resolve() in {folder.resolve() for folder in folders}:
        raise UserError(f"--out {args.out}: its page is one of those to compare; give another")
    if page_path.exists() and not is_ours(page_path):
        raise UserError(f"--out {args.out}: holds a page that is not ours; give another folder")
    named = dict(zip(short_names(folders), folders, strict=True))
    out = args.out.resolve()  # links hold wherever the command was given
    tests = {name: located(folder.resolve(), out) for name, folder in named.items()}
    stems = list(dict.fromkeys(stem for rows in tests.values() for stem in rows))
    in_all = sum(all(stem in rows for rows in tests.values()) for stem in stems)
    told = f"{in_all} images are in all folders, {len(stems) - in_all} are not"
    facts = {name: str(folder) for name, folder in named.items()} | {"images": told}
    page = ResultPage(page_path, f"Comparison: {', '.join(named)}", facts, {}, PICTURE_PX)
    write_rows(page, tests, stems, out)
    set_metrics(page_path, *figures(named, stems))
    say(f"{told}: {shown(page_path)}")
    return 0


def results_of(given: Path) -> Path:
    """The folder of a test: as given, or the only one of a run given by its name or path."""
    tests = sorted(page.parent for page in Path("results", given.name).glob("*/index.html"))
    if (given / "index.html").is_file() or not tests:
        return given
    if len(tests) > 1:
        raise UserError(f"{given}: several tests: {', '.join(map(str, tests))}; give one of them")
    return tests[0]


def short_names(folders: list[Path]) -> list[str]:
    """What tells the folders apart: results/a/test_latest, results/b/test_latest -> a, b."""
    parts = [folder.resolve().parts for folder in folders]
    while len({p[0] for p in parts}) == 1 and min(map(len, parts)) > 1:
        parts = [p[1:] for p in parts]
    while len({p[-1] for p in parts}) == 1 and min(map(len, parts)) > 1:
        parts = [p[:-1] for p in parts]
    return ["/".join(p) for p in parts]


def located(folder: Path, out: Path) -> dict[str, Row]:
    """stem -> row of a folder's page: pictures that are there, relative to the new page."""
    way, rows = os.path.relpath(folder, out), {}
    for row in read_rows(folder):
        there = {k: f"{way}/{f}" for k, f in row.pictures.items()
                 if stays(f) and (folder / f).is_file()}  # fmt: skip
        rows[row.stem] = Row(row.stem, there, row.text)
    return rows


def write_rows(page: ResultPage, tests: Tests, stems: list[str], out: Path) -> None:
    """A row for each stem: each test's own visuals, then those that are the same in all."""
    labels = list(dict.fromkeys(
        label for rows in tests.values() for row in rows.values() for label in row.pictures
    ))  # fmt: skip
    shared = [label for label in labels if is_same(label, tests, out)]
    own = [
        (label, name)
        for label in labels
        for name, rows in tests.items()
        if label not in shared and any(label in row.pictures for row in rows.values())
    ]
    for stem in stems:
        rows = {name: of_test.get(stem, Row(stem)) for name, of_test in tests.items()}
        pictures = {f"{label} · {name}": rows[name].pictures.get(label) for label, name in own}
        for label in shared:
            files = (row.pictures.get(label) for row in rows.values())
            pictures[label] = next(filter(None, files), None)
        text = "; ".join(f"{name}: {row.text}" for name, row in rows.items() if row.text)
        page.add_row(stem, pictures if any(pictures.values()) else {}, text)


def is_same(label: str, tests: Tests, out: Path) -> bool:
    """Whether a visual is the same, byte for byte, wherever tests have an image in common."""
    common = set.intersection(*(set(rows) for rows in tests.values()))
    for stem in common:
        files = [rows[stem].pictures.get(label) for rows in tests.values()]
        if None in files:
            if any(files):
                return False
            continue
        if not all(filecmp.cmp(out / files[0], out / file, shallow=False) for file in files[1:]):
            return False
    return bool(common)


def figures(
    named: dict[str, Path], stems: list[str]
) -> tuple[list[str], dict[int, list[float | None]]]:
    """Names of the tests' metrics, and number of a row -> their values."""
    of_test = {name: read_metrics(folder) for name, folder in named.items()}
    metrics = list(dict.fromkeys(m for t in of_test.values() for v in t.values() for m in v))
    names = [f"{metric} ({name})" for metric in metrics for name in named]
    two = list(named) if len(named) == 2 else []
    names += [f"{metric} ({two[1]} - {two[0]})" for metric in metrics if two]
    rows = {}
    for number, stem in enumerate(stems, 1):
        values = [[t.get(stem, {}).get(metric) for t in of_test.values()] for metric in metrics]
        row = [value for pair in values for value in pair]
        if two:
            row += [None if None in pair else pair[1] - pair[0] for pair in values]
        if any(value is not None for value in row):
            rows[number] = row
    return names, rows


if __name__ == "__main__":
    sys.exit(main())

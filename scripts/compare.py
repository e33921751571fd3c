"""Results of several tests side by side, on one page.

    python scripts/compare.py results/maps_1/test_latest results/maps_2/test_latest

Each folder is one that test.py has written; the name of a run, or its folder's path, stands for the
only one of its tests in ./results. Images are matched by name, sub-folders included; what one
folder lacks is told. A visual that is the same in all folders, such as the input, is shown once.
Figures of metrics.jsonl are there to sort by, and L1 where a visual has a ground truth: the mean
absolute difference, in levels of 255, of the pictures as they are shown; of two folders their
difference too. Their means are told at the top. The page, index.html in `comparison` or in --out,
links to the pictures where they are.
"""

import filecmp
import os
import sys
from pathlib import Path

import _root

import numpy as np

from scripts.tool import ToolParser
from util.atomic import stays
from util.errors import UserError, one_line_errors, say, shown
from util.images.read import load_image
from util.metrics.l1_metric import L1Metric
from util.record import counted
from util.results.folder import Row, is_ours, read_metrics, read_rows
from util.results.gallery import ResultPage, set_metrics

PICTURE_PX = 256
Tests = dict[str, dict[str, Row]]  # name of a test -> stem -> row
Measures = dict[str, dict[str, dict[str, float]]]  # measure -> name of a test -> stem -> figure


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
    told = f"{counted(in_all, 'image')} in all folders, {len(stems) - in_all} not in all"
    measures = read_measures(named) | distances(tests, out)
    facts = {name: str(folder) for name, folder in named.items()} | {"images": told}
    facts |= means(measures, list(named))
    page = ResultPage(page_path, f"Comparison: {', '.join(named)}", facts, {}, PICTURE_PX)
    write_rows(page, tests, stems, out)
    set_metrics(page_path, *figures(measures, list(named), stems))
    say(f"{told}: {shown(page_path)}")
    return 0


def results_of(given: Path) -> Path:
    """The folder of a test: as given, or the only one of a run given by its name or path; earlier
    results that were kept, test_latest.1, are asked for by their own path."""
    pages = Path("results", given.name).glob("*/index.html")
    tests = sorted(p.parent for p in pages if not p.parent.suffix[1:].isdigit())
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


def labels_of(tests: Tests) -> list[str]:
    """All visuals, in the order of the tests' pages: inputs first."""
    rows = (row for of_test in tests.values() for row in of_test.values())
    return list(dict.fromkeys(label for row in rows for label in row.pictures))


def write_rows(page: ResultPage, tests: Tests, stems: list[str], out: Path) -> None:
    """A row for each stem, the visuals in the order of the tests' pages: once where they are the
    same in all tests, else each test's own."""
    columns = []  # (label, test; None: of all)
    for label in labels_of(tests):
        has = [name for name, rows in tests.items()
               if any(label in row.pictures for row in rows.values())]  # fmt: skip
        same = is_same(label, tests, out)
        columns += [(label, None)] if same else [(label, name) for name in has]
    for stem in stems:
        rows = {name: of_test.get(stem, Row(stem)) for name, of_test in tests.items()}
        pictures = {}
        for label, name in columns:
            files = (row.pictures.get(label) for row in ([rows[name]] if name else rows.values()))
            pictures[f"{label} · {name}" if name else label] = next(filter(None, files), None)
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
        first, *others = (os.path.normpath(out / file) for file in files)  # `out` may not be there
        if not all(filecmp.cmp(first, other, shallow=False) for other in others):
            return False
    return bool(common)


def read_measures(named: dict[str, Path]) -> Measures:
    """The figures of the tests' metrics.jsonl."""
    of_test = {name: read_metrics(folder) for name, folder in named.items()}
    metrics = list(dict.fromkeys(m for t in of_test.values() for v in t.values() for m in v))
    return {
        metric: {
            name: {stem: values[metric] for stem, values in t.items() if metric in values}
            for name, t in of_test.items()
        }
        for metric in metrics
    }


def distances(tests: Tests, out: Path) -> Measures:
    """L1 of every visual that has a ground truth, and of two tests the visuals' distance where they
    have none: mean absolute differences of pictures, in levels of 255."""
    labels = labels_of(tests)
    found: Measures = {}
    for label in labels:
        if truth := truth_of(label, labels):
            found[f"L1 of {label} from {truth}"] = {
                name: _distances({stem: (row.pictures.get(label), row.pictures.get(truth))
                                  for stem, row in rows.items()}, out)
                for name, rows in tests.items()
            }  # fmt: skip
        elif len(tests) == 2 and not is_same(label, tests, out):
            one, other = tests.values()
            pairs = {stem: (row.pictures.get(label), other[stem].pictures.get(label))
                     for stem, row in one.items() if stem in other}  # fmt: skip
            found[f"difference of {label}"] = {" and ".join(tests): _distances(pairs, out)}
    return {name: of_test for name, of_test in found.items() if any(of_test.values())}


def truth_of(label: str, labels: list[str]) -> str | None:
    """The visual that another one should be equal to: of pairs the target, of a cycle its start."""
    kind, _, rest = label.partition("_")
    unpaired = any(other.startswith("rec_") for other in labels)
    if label == "output":
        truth = "data_B"
    else:
        truth = f"real_{rest}" if kind == ("rec" if unpaired else "fake") else ""
    return truth if truth in labels else None


def _distances(pairs: dict[str, tuple[str | None, str | None]], out: Path) -> dict[str, float]:
    """stem -> mean absolute difference of two pictures of one size."""
    found = {}
    for stem, files in pairs.items():
        if None in files:
            continue
        one, other = (np.asarray(load_image(os.path.normpath(out / file)))[None] for file in files)
        if one.shape == other.shape:
            metric = L1Metric()
            metric.update(one, other)
            found[stem] = metric.compute()
    return found


def means(measures: Measures, tests: list[str]) -> dict[str, str]:
    """What is told at the top: of each measure the means, over the images that all tests have."""
    told = {}
    for measure, of_test in measures.items():
        common = set.intersection(*(set(values) for values in of_test.values()))
        if not common:
            continue
        mean = {name: float(np.mean([values[stem] for stem in common]))
                for name, values in of_test.items()}  # fmt: skip
        parts = [f"{name} {value:.4g}" for name, value in mean.items()]
        if list(mean) == tests and len(tests) == 2:
            parts.append(f"{tests[1]} - {tests[0]} {mean[tests[1]] - mean[tests[0]]:.4g}")
        told[f"mean {measure}"] = f"{', '.join(parts)} (over {counted(len(common), 'image')})"
    return told


def figures(
    measures: Measures, tests: list[str], stems: list[str]
) -> tuple[list[str], dict[int, list[float | None]]]:
    """Names of columns, of two tests their difference too, and number of a row -> values."""
    columns: dict[str, dict[str, float]] = {}
    for measure, of_test in measures.items():
        columns |= {f"{measure} ({name})": values for name, values in of_test.items()}
        if list(of_test) == tests and len(tests) == 2:
            one, other = of_test.values()
            columns[f"{measure} ({tests[1]} - {tests[0]})"] = {
                stem: other[stem] - one[stem] for stem in one if stem in other
            }
    rows = {}
    for number, stem in enumerate(stems, 1):
        row = [values.get(stem) for values in columns.values()]
        if any(value is not None for value in row):
            rows[number] = row
    return list(columns), rows


if __name__ == "__main__":
    sys.exit(main())

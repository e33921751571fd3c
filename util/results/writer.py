"""The folder of a test: pictures of the depth and format that the images came in, and a page."""

from __future__ import annotations

import hashlib
import itertools
import re
import shlex
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from util import atomic
from util.direction import oriented
from util.errors import say, warn
from util.images.header import Header, read_header
from util.images.read import Range, range_of
from util.images.write import EIGHT_BITS, save_like
from util.lazy import torch
from util.results.folder import METRICS_FILE, remove_pictures, show_metrics
from util.results.gallery import ResultPage
from util.threads import OrderedThreads

MAX_STEM_BYTES = 200  # of the 255 that a file's name may have


@dataclass(frozen=True)
class PageInfo:
    """What a page of results tells besides pictures.

    Args:
        title: heading, also the window's title.
        facts: name -> value, shown below the heading.
        details: heading -> text, shown when it is asked for.
        width: px of a picture on a wide screen.
    """

    title: str
    facts: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    width: int = 256


@dataclass(frozen=True)
class PictureRules:
    """How pictures are written.

    Args:
        direction: "AtoB" or "BtoA"; visuals of side A show the source.
        value_range: `--value_range`.
        aspect_ratio: that pictures are stretched by.
        sides: visual -> "A" or "B", told by the model; see `side_of`.
    """

    direction: str = "AtoB"
    value_range: list[float] | None = None
    aspect_ratio: float = 1.0
    sides: dict[str, str] = field(default_factory=dict)


class Results:
    """One test run's pictures, images/<stem>_<visual>.<ext>, and index.html.

    After `begin` and while it is entered, images may be added; on leaving all of them are written.

    Args:
        folder: where.
        page: what the page tells.
        rules: how pictures are written.
        writers: threads that write pictures; 0: by the cores there are. Rows are written in order.
    """

    def __init__(self, folder: Path, page: PageInfo, rules: PictureRules, writers: int = 0) -> None:
        self.folder, self.info, self.rules = folder, page, rules
        self.earlier: set[str] = set()  # pictures of an earlier test that are deleted
        self.earlier_metrics: tuple[int, int] | None = None
        self.page: ResultPage | None = None  # from `begin` on
        self.stem_of = unique_stems()
        self.rows = self.unreadable = 0
        self.unknown: set[str] = set()  # visuals whose side nobody has told, and that was said
        self.writing = OrderedThreads(self._add_row, writers)

    def begin(self, dataroot: str | None = None) -> Results:
        """Begin the page, without the pictures that an earlier test has left there: they are
        deleted, for they would be taken for results of this one.

        Args:
            dataroot: a folder that is read; if the pictures lie in it, all of them stay.
        """
        atomic.own_folder(self.folder / "images")
        self.earlier = remove_pictures(self.folder, dataroot)
        self.earlier_metrics = _version(self.folder / METRICS_FILE)
        info = self.info
        self.page = ResultPage(
            self.folder / "index.html", info.title, info.facts, info.details, info.width
        )
        return self

    def __enter__(self) -> Results:
        return self

    def __exit__(self, *failure: object) -> None:
        self.writing.__exit__(*failure)

    def add(self, files: dict[str, str], pictures: dict[str, torch.Tensor]) -> None:
        """Write one image's pictures, and their row, soon.

        Args:
            files: "A", and "B" if there is one: the files of source and target.
            pictures: name -> (1, C, H, W) in [-1, 1], which nobody changes any more.
        """
        images = {label: image.detach().cpu() for label, image in pictures.items()}
        size = sum(image.numel() * image.element_size() for image in images.values())
        self.writing.submit(size, self._write, self.stem_of(files["A"]), files, images)

    def _write(
        self, stem: str, files: dict[str, str], pictures: dict[str, torch.Tensor]
    ) -> tuple[str, dict[str, str]]:
        """Write one image's pictures. Returns: stem, label -> file relative to the page."""
        headers = {side: _header(file) for side, file in files.items()}
        shown = {}
        for label, image in pictures.items():
            side = side_of(label, self.rules.sides)
            if side is None:
                side = "B"
                self._say_unknown(label, headers)
            header = headers.get(side, headers["A"])
            if side not in headers and "float" not in header.dtype:
                side = "A"  # whole numbers have the range of the file that they came from
            path = save_like(
                image,
                self.folder / "images" / f"{stem}_{atomic.plain(label, 'visual')}",
                header,
                self._range_of(side),
                self.rules.aspect_ratio,
            )
            shown[label] = f"images/{path.name}"
        return stem, shown

    def _range_of(self, side: str) -> Range | None:
        data_side = oriented(self.rules.direction, "A", "B")["AB".index(side)]
        return range_of(self.rules.value_range, data_side)

    def _say_unknown(self, label: str, headers: dict[str, Header]) -> None:
        """Warn once of a visual that is taken for an output, where that decides what is written."""
        looks = {
            (header.dtype, header.kind, header.alpha, self._range_of(side))
            for side, header in headers.items()
        }
        if len(looks) > 1 and label not in self.unknown:
            self.unknown.add(label)
            warn(
                f"visual {label!r}: written with depth and range of the target, for its name tells "
                f'no side; if it shows the source: visual_sides = {{"{label}": "A"}} in the model'
            )

    def _add_row(self, written: tuple[str, dict[str, str]]) -> None:
        stem, shown = written
        self.rows += 1
        self.earlier -= {Path(file).name for file in shown.values()}
        self.page.add_row(stem, shown)

    def add_unreadable(self, path: str, why: str) -> None:
        """A row for a file that gave no picture."""
        self.rows += 1
        self.unreadable += 1
        self.page.add_row(self.stem_of(path), {}, f"unreadable: {why}")

    def finish(self) -> None:
        """All are there: show metrics if there are any, and tell how many and where."""
        metrics = self.folder / METRICS_FILE
        if self.earlier_metrics and _version(metrics) == self.earlier_metrics:
            warn(f"{metrics}: of an earlier test, not shown on the page; make it anew or delete it")
        elif metrics.is_file():
            show_metrics(self.folder)
        if self.earlier:
            say(f"deleted: {len(self.earlier)} pictures of an earlier test that this one has not "
                f"written anew, e.g. {min(self.earlier)}")  # fmt: skip
        say(f"results of {self.rows - self.unreadable} images: {self.page.path}")
        if self.unreadable:
            warn(f"{self.unreadable} of {self.rows} images could not be read: see the page")


KNOWN_SIDES = {"real": "A", "fake": "B"}  # of --model test


def side_of(visual: str, told: dict[str, str]) -> str | None:
    """The side whose depth and range a visual takes: "A", the source, or "B", the target.

    The model's word comes first (`BaseModel.visual_sides`), then the name: `fake_B`, `real_A`,
    `fake_B_rgb`, and `real` and `fake`. None: neither tells; it is taken for an output.
    """
    if visual in told:
        return told[visual]
    named = re.findall(r"_([AB])(?=_|$)", visual)
    return KNOWN_SIDES.get(visual) or ("B" if "B" in named else "A" if named else None)


def command_line(script: str, argv: list[str] | None) -> str:
    """A call of a script as one would type it; None: the arguments of this process."""
    return shlex.join(["python", script, *(sys.argv[1:] if argv is None else argv)])


def _version(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written; None without a file."""
    return (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else None


def _header(path: str) -> Header:
    """What a file holds; a plug-in's files may be anything."""
    try:
        return read_header(path)
    except (ValueError, OSError):
        return EIGHT_BITS


def printable_stem(path: str) -> str:
    """A file's name without extension, as text of at most MAX_STEM_BYTES: a longer one is cut, and
    ends with a digest of the path."""
    stem = Path(path).stem.encode("utf-8", "surrogateescape")
    if len(stem) > MAX_STEM_BYTES:
        digest = hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        return stem[: MAX_STEM_BYTES - 9].decode("utf-8", "ignore") + "_" + digest
    return stem.decode("utf-8", "replace")


def unique_stems() -> Callable[[str], str]:
    """A function file -> printable stem; one that comes again gets a number, so that nothing is
    overwritten: 000.jpg -> 000, 000.png -> 000_2."""
    given: set[str] = set()
    counters: defaultdict[str, itertools.count] = defaultdict(lambda: itertools.count(2))

    def stem_of(path: str) -> str:
        name = stem = printable_stem(path)
        while name in given:
            name = f"{stem}_{next(counters[stem])}"
        given.add(name)
        return name

    return stem_of

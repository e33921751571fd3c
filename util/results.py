"""The folder of a test: pictures of the depth and format that the images came in, and a page."""

import re
from dataclasses import dataclass
from pathlib import Path

import torch

from util.direction import oriented
from util.html import Page
from util.image import unique_stems
from util.image_header import Header, read_header
from util.image_read import range_of
from util.image_write import EIGHT_BITS, save_like


@dataclass
class Results:
    """One test run's pictures, images/<stem>_<visual>.<ext>, and index.html.

    Args:
        folder: where.
        title, facts, winsize: of the page.
        aspect_ratio: that pictures are stretched by.
        direction: "AtoB" or "BtoA"; visuals named A show the source.
        value_range: `--value_range`.
    """

    folder: Path
    title: str
    facts: dict[str, str]
    winsize: int
    aspect_ratio: float
    direction: str
    value_range: list[float] | None

    def __post_init__(self) -> None:
        self.page = Page(self.folder / "index.html", self.title, self.facts, self.winsize)
        (self.folder / "images").mkdir(exist_ok=True)
        self.stem_of = unique_stems()
        self.rows = self.unreadable = 0

    def add(self, files: dict[str, str], pictures: dict[str, torch.Tensor]) -> None:
        """Write one image's pictures, and their row.

        Args:
            files: "A", and "B" if there is one: the files of source and target.
            pictures: name -> (1, C, H, W) in [-1, 1].
        """
        self.rows += 1
        stem = self.stem_of(files["A"])
        headers = {side: _header(file) for side, file in files.items()}
        shown = []
        for label, image in pictures.items():
            side = "B" if label == "fake" or re.search(r"_B(_|$)", label) else "A"
            header = headers.get(side, headers["A"])
            if side not in headers and "float" not in header.dtype:
                side = "A"  # whole numbers have the range of the file that they came from
            data_side = oriented(self.direction, "A", "B")["AB".index(side)]
            path = save_like(
                image,
                self.folder / "images" / f"{stem}_{label}",
                header,
                range_of(self.value_range, data_side),
                self.aspect_ratio,
            )
            shown.append((label, f"images/{path.name}"))
        self.page.add_row(self.rows, stem, shown)

    def add_unreadable(self, path: str, why: str) -> None:
        """A row for a file that gave no picture."""
        self.rows += 1
        self.unreadable += 1
        self.page.add_row(self.rows, self.stem_of(path), [], f"unreadable: {why}")


def _header(path: str) -> Header:
    """What a file holds; a plug-in's files may be anything."""
    try:
        return read_header(path)
    except (ValueError, OSError):
        return EIGHT_BITS

"""The page of a training: web/index.html in its folder, with data that it reads again by itself."""

import math
import time
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np

from util import atomic
from util.html import address, to_bytes
from util.images.convert import save_image
from util.record import PageRow, Record, RunInfo, Standing
from util.training_page.chunks import CHUNK, Chunks, replace, script
from util.training_page.curves import ThinnedCurves
from util.training_page.html import page_html

FIXED = "fixed_"  # names of the pictures that are of the same sample in every stage


class ShownRow(NamedTuple):
    """A row of pictures as the page's script reads it: a list in this order.

    Args:
        number, heading: as the model tells them.
        stem: of the pictures' files, quoted for a link.
        labels: of its pictures, all of `width` x `height` px.
        times_shown: changes when the pictures do.
    """

    number: int
    heading: str
    stem: str
    labels: list[str]
    width: int
    height: int
    times_shown: int


class TrainingPage:
    """Plots, the fixed sample, and rows of pictures; told what trackers are told.

    Args:
        run: in whose folder the page is; on a resume its logs are cut already.
        winsize: px of a picture.
        last_row: go on with the page, keeping the rows up to this number. None: begin anew.
        n_epochs: number of the last epoch.
    """

    def __init__(self, run: RunInfo, winsize: int, last_row: int | None, n_epochs: int) -> None:
        self.web, self.data = run.folder / "web", run.folder / "web" / "data"
        for folder in (self.data, self.web / "images"):
            folder.mkdir(parents=True, exist_ok=True)
        self.epoch, self.n_epochs, self.session = 0, n_epochs, time.time_ns() // 1000
        self.last: dict[str, dict[str, float | None]] = {}  # what each part was last
        self.standing: Standing | None = None
        self.fixed: dict[str, np.ndarray] = {}  # label -> picture, as it was last written
        self.curves, self.rows = ThinnedCurves(), []
        self.point_chunks, self.row_chunks = Chunks(self.data, "points"), Chunks(self.data, "rows")
        if last_row is not None:
            self.curves.add_file(run.folder / "metrics.jsonl")
            self.rows = self._rows_until(last_row)
        self.point_chunks.renew(self.curves.points)
        self.row_chunks.renew(self.rows)
        self._write_state("running")
        html = page_html(f"Training of {run.name}", run, winsize, self.session)
        atomic.write(self.web / "index.html", to_bytes(html), durable=False)

    def begin_epoch(self, epoch: int) -> None:
        """Say which epoch is at work."""
        self.epoch = epoch
        self._write_state("running")

    def show_standing(self, standing: Standing) -> None:
        """Say how far the training is."""
        self.standing = standing
        self._write_state("running")

    def log(self, record: Record) -> None:
        """Draw the curves on."""
        self.last |= {part: {name: value if math.isfinite(value) else None
                             for name, value in figures.items()}
                      for part, figures in record.parts().items() if figures}  # fmt: skip
        made, span = len(self.curves.points), self.curves.span
        self.curves.add(record)
        if span != self.curves.span:
            self.point_chunks.renew(self.curves.points)
        elif made != len(self.curves.points):
            self.point_chunks.update(self.curves.points)
        self._write_state("running")

    def show(self, row: PageRow, pictures: dict[str, np.ndarray]) -> None:
        """Add a row of pictures (H, W, 3) uint8, or bring the last one up to date."""
        again = bool(self.rows) and self.rows[-1].number == row.number
        before = self.rows.pop() if again else ShownRow(0, "", "", [], 0, 0, 0)
        written = [label for label in pictures if self._is_new(label, pictures[label])]
        for label in written:
            file = f"{row.file_stem}_{atomic.plain(label, 'visual')}.png"
            save_image(pictures[label], self.web / "images" / file)
        labels = [label for label in pictures if label in written or label in before.labels]
        height, width = next(iter(pictures.values())).shape[:2] if pictures else (0, 0)
        stem, times_shown = address(row.file_stem), before.times_shown + 1
        self.rows.append(
            ShownRow(row.number, row.heading, stem, labels, width, height, times_shown)
        )
        self.row_chunks.update(self.rows)
        self._write_state("running")

    def close(self, finished: bool = False) -> None:
        """The training has ended: completely, or not."""
        self._write_state("finished" if finished else "stopped")

    def _is_new(self, label: str, picture: np.ndarray) -> bool:
        """Whether a picture has to be written: the fixed sample's input never changes."""
        if not label.startswith(FIXED):
            return True
        known = self.fixed.get(label)
        self.fixed[label] = picture
        return known is None or not np.array_equal(known, picture)

    def _rows_until(self, number: int) -> list[ShownRow]:
        """An earlier session's rows, without pictures that are gone."""
        rows = [ShownRow(*row) for row in self.row_chunks.load() if row[0] <= number]
        there = {file.name for file in (self.web / "images").iterdir()}
        return [
            row._replace(labels=[
                label for label in row.labels if f"{unquote(row.stem)}_{label}.png" in there
            ])
            for row in rows
        ]  # fmt: skip

    def _write_state(self, state: str) -> None:
        """What the open page asks for every few seconds."""
        news = {
            "session": self.session,
            "state": state,
            "updated_ms": time.time_ns() // 1_000_000,
            "epoch": self.epoch,
            "n_epochs": self.n_epochs,
            "standing": self.standing and self.standing._asdict(),
            "last": self.last,
            "columns": self.curves.columns,
            "span": self.curves.span,
            "chunk": CHUNK,
            "points": self.point_chunks.state(),
            "rows": self.row_chunks.state(),
        }
        replace(self.data / "state.js", script("state", news))

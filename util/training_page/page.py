"""The page of a training: web/index.html in its folder, with data that it reads again by itself."""

import math
import time
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np

from util.images.convert import save_image
from util.page import PageRow, to_bytes
from util.training_page.chunks import CHUNK, Chunks, replace, script
from util.training_page.curves import Curves
from util.training_page.html import About, page_html

FIXED = "fixed_"  # names of the pictures that are of the same sample in every stage

# number, heading, quoted file stem, labels, width and height px, how often it was shown
Row = list


class TrainingPage:
    """Plots, the fixed sample, and a row of pictures for each stage; a tracker, see
    util/trackers/base.py.

    Args:
        run_dir: the run's folder; on a resume its logs are cut already.
        name: the run's.
        winsize: px of a picture.
        last_row: go on with the page, keeping the rows up to this number. None: begin anew.
        n_epochs: number of the last epoch.
    """

    def __init__(
        self,
        run_dir: Path,
        name: str,
        winsize: int,
        last_row: int | None,
        n_epochs: int,
        about: About,
    ) -> None:
        self.web, self.data = run_dir / "web", run_dir / "web" / "data"
        for folder in (self.data, self.web / "images"):
            folder.mkdir(parents=True, exist_ok=True)
        self.epoch, self.n_epochs, self.session = 0, n_epochs, time.time_ns() // 1000
        self.last: dict[str, float | None] = {}  # line of losses
        self.fixed: dict[str, np.ndarray] = {}  # label -> picture, as it was last written
        self.curves, self.points = Curves(), Chunks(self.data, "points")
        self.chunks, self.rows = Chunks(self.data, "rows"), []
        if last_row is not None:
            self.curves.take_file(run_dir / "metrics.jsonl")
            self.rows = self._rows_until(last_row)
        self.points.renew(self.curves.points)
        self.chunks.renew(self.rows)
        self._tell("running")
        html = page_html(f"Training of {name}", about, winsize, self.session)
        (self.web / "index.html").write_bytes(to_bytes(html))

    def begin_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        self._tell("running")

    def log(self, record: dict[str, float]) -> None:
        self.last = {k: v if math.isfinite(v) else None for k, v in record.items()}
        made, span = len(self.curves.points), self.curves.span
        self.curves.take(record)
        if span != self.curves.span:
            self.points.renew(self.curves.points)
        elif made != len(self.curves.points):
            self.points.update(self.curves.points)
        self._tell("running")

    def show(self, row: PageRow, pictures: dict[str, np.ndarray]) -> None:
        again = bool(self.rows) and self.rows[-1][0] == row.number
        before: Row = self.rows.pop() if again else [0, "", "", [], 0, 0, 0]
        written = [label for label in pictures if self._is_new(label, pictures[label])]
        for label in written:
            save_image(pictures[label], self.web / "images" / f"{row.file_stem}_{label}.png")
        labels = [label for label in pictures if label in written or label in before[3]]
        height, width = next(iter(pictures.values())).shape[:2] if pictures else (0, 0)
        stem = quote(row.file_stem)
        times = before[6] + 1
        self.rows.append([row.number, row.heading, stem, labels, width, height, times])
        self.chunks.update(self.rows)
        self._tell("running")

    def close(self, finished: bool = False) -> None:
        self._tell("finished" if finished else "stopped")

    def _is_new(self, label: str, picture: np.ndarray) -> bool:
        """Whether a picture has to be written: the fixed sample's input never changes."""
        if not label.startswith(FIXED):
            return True
        known = self.fixed.get(label)
        self.fixed[label] = picture
        return known is None or not np.array_equal(known, picture)

    def _rows_until(self, number: int) -> list[Row]:
        """An earlier session's rows, without pictures that are gone."""
        rows = [row for row in self.chunks.load() if row[0] <= number]
        there = {file.name for file in (self.web / "images").iterdir()}
        for row in rows:
            row[3] = [label for label in row[3] if f"{unquote(row[2])}_{label}.png" in there]
        return rows

    def _tell(self, state: str) -> None:
        """What the open page asks for every few seconds."""
        news = {
            "session": self.session,
            "state": state,
            "updated_ms": time.time_ns() // 1_000_000,
            "epoch": self.epoch,
            "n_epochs": self.n_epochs,
            "last": self.last,
            "names": self.curves.names,
            "span": self.curves.span,
            "chunk": CHUNK,
            "points": self.points.state(),
            "rows": self.chunks.state(),
        }
        replace(self.data / "state.js", script("state", news))

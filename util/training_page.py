"""The page of a training: web/index.html in its folder."""

from pathlib import Path

import numpy as np

from util.html import Page
from util.image import save_image
from util.stage import Stage


class TrainingPage:
    """A row of pictures for each stage; a tracker, see util/tracker.py.

    Args:
        run_dir: the run's folder.
        name: the run's.
        winsize: px of a picture.
        last_row: go on with the page, keeping the rows up to this number. None: begin anew.
    """

    def __init__(self, run_dir: Path, name: str, winsize: int, last_row: int | None) -> None:
        self.web = run_dir / "web"
        self.row = last_row or 0
        facts = {"pictures": "newest first", "log": "../loss_log.txt"}
        self.page = Page(
            self.web / "index.html", f"Training of {name}", facts, winsize, newest_first=True,
            refresh_s=60, keep_before=None if last_row is None else self.row + 1,
        )  # fmt: skip
        (self.web / "images").mkdir(exist_ok=True)

    def log(self, record: dict[str, float]) -> None:
        """Losses are not on the page yet."""

    def show(self, stage: Stage, pictures: dict[str, np.ndarray]) -> None:
        files = {label: f"images/{stage.file_stem}_{label}.png" for label in pictures}
        for label, picture in pictures.items():
            save_image(picture, self.web / files[label])
        if self.row != stage.number:
            self.page.add_row(stage.number, stage.heading, list(files.items()))
            self.row = stage.number

    def close(self) -> None:
        """The page stays as it is."""

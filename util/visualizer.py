"""What a run tells people: progress, losses, pictures. Local files only, written by one process."""

import json
import math
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import torch
from tqdm import tqdm

from util.errors import say
from util.html import Page
from util.image import save_image, tensor2im
from util.stage import Stage


class Reporter(Protocol):
    """What a model tells about its last step."""

    def stage(self, epoch: int) -> Stage: ...

    def get_current_losses(self) -> dict[str, float]: ...

    def get_current_visuals(self) -> dict[str, torch.Tensor]: ...

    def compute_visuals(self) -> None: ...

    def learning_rate(self) -> float: ...


def describe_step(model: Reporter, batch: dict) -> str:
    """What went into the model's last step, and what came out, by name."""
    model.compute_visuals()
    shapes = (f"{k} {tuple(v.shape)}" for k, v in batch.items() if isinstance(v, torch.Tensor))
    losses, pictures = model.get_current_losses(), model.get_current_visuals()
    rows = {"sample": shapes, "losses": losses, "pictures": pictures}
    return "\n".join(f"{what}: {', '.join(names)}" for what, names in rows.items())


def crossed(before: int, after: int, every: int) -> bool:
    """Whether a counter that went from `before` to `after` reached a multiple of `every`."""
    return after // every > before // every


LOGS = ("loss_log.txt", "metrics.jsonl")


def cut(file: Path, size: int) -> None:
    """Shorten a file to `size` bytes; a new one is empty."""
    with open(file, "ab") as log:
        log.truncate(min(size, log.tell()))


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


class Visualizer:
    """Logs and pages of a training run, in its folder.

    Files: loss_log.txt (for reading), metrics.jsonl (one JSON object a line), web/index.html.

    Args:
        run_dir: the run's folder.
        name: the run's name.
        n_epochs: number of the last epoch.
        writes: whether this process is the one that writes and prints.
        resumed: `state_dict()` of the session to go on from: what came after it is cut off. With
            no more than {"row": n} the logs are kept whole. None: begin anew.
        html: keep a training page.
        winsize: px of a picture on the page.
        print_images, display_images, html_images: images between two lines of losses, two looks
            at whether the page has the pictures, two updates of them.
    """

    def __init__(
        self,
        run_dir: str | Path,
        name: str,
        n_epochs: int,
        writes: bool = True,
        resumed: dict | None = None,
        html: bool = True,
        winsize: int = 256,
        print_images: int = 100,
        display_images: int = 400,
        html_images: int = 1000,
    ) -> None:
        self.folder, self.n_epochs, self.writes = Path(run_dir), n_epochs, writes
        self.print_images, self.display_images = print_images, display_images
        self.html_images = html_images
        self.web = self.folder / "web"
        self.page: Page | None = None
        self.row = (resumed or {}).get("row", 0)  # the last one on the page
        self.bar: tqdm | None = None
        # Since the last line of losses: seconds waited for data and spent on steps, images seen.
        self.waited_s, self.worked_s, self.images = 0.0, 0.0, 0
        self.step_began = 0.0
        if not writes:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for file in LOGS if resumed is None else resumed.keys() & set(LOGS):
            cut(self.folder / file, (resumed or {}).get(file, 0))
        with open(self.folder / "loss_log.txt", "a") as log:
            log.write(f"================ Training Loss ({time.strftime('%c')}) ================\n")
        if html:
            facts = {"pictures": "newest first", "log": "../loss_log.txt"}
            self.page = Page(
                self.web / "index.html", f"Training of {name}", facts, winsize, newest_first=True,
                refresh_s=60, keep_before=None if resumed is None else self.row + 1,
            )  # fmt: skip
            (self.web / "images").mkdir(exist_ok=True)

    def state_dict(self) -> dict:
        """Bytes of the logs, and the page's last row."""
        sizes = {file: _size(self.folder / file) for file in LOGS}
        return sizes | {"row": self.row}

    def epoch(
        self, loader: Iterable[dict], epoch: int, batch_size: int, seen: int = 0
    ) -> Iterator[dict]:
        """The loader's batches, timed, with a progress bar on a terminal.

        Args:
            batch_size: images in a step of all processes.
            seen: images of this epoch that an earlier session has done.
        """
        total = len(loader)
        if self.writes and sys.stderr.isatty():
            self.bar = tqdm(total=total, initial=seen, unit="img", dynamic_ncols=True, leave=False,
                            desc=f"epoch {epoch}/{self.n_epochs}")  # fmt: skip
        try:
            asked = time.perf_counter()
            for batch in loader:
                self.step_began = time.perf_counter()
                self.waited_s += self.step_began - asked
                self.images += batch_size
                yield batch
                asked = time.perf_counter()
                self.worked_s += asked - self.step_began
                if self.bar is not None:
                    self.bar.update(min(batch_size, total - self.bar.n))
        finally:
            if self.bar is not None:
                self.bar.close()
                self.bar = None

    def end_step(
        self, model: Reporter, epoch: int, epoch_images: int, before: int, images: int
    ) -> None:
        """Show pictures and log losses, where a step passed a multiple of their frequencies.

        Args:
            epoch_images: images seen in this epoch.
            before, images: images seen in the run, before and after the step.
        """
        save = crossed(before, images, self.html_images)
        if save or crossed(before, images, self.display_images):
            self.show(model, epoch, save)
        if crossed(before, images, self.print_images):
            self.log_losses(model, epoch, epoch_images, images)

    def log_losses(self, model: Reporter, epoch: int, epoch_images: int, images: int) -> None:
        """The model's losses as one line, on the terminal and in the two logs.

        Args:
            epoch_images, images: images seen in this epoch, and in the run.
        """
        if not self.writes:
            return
        losses, lr = model.get_current_losses(), model.learning_rate()  # waits for the device
        now = time.perf_counter()
        per_image_s = (self.worked_s + now - self.step_began) / self.images
        waited_s = self.waited_s / self.images
        self.waited_s, self.worked_s, self.images, self.step_began = 0.0, 0.0, 0, now
        values = " ".join(f"{name}: {value:.3f}" for name, value in losses.items())
        line = (
            f"(epoch: {epoch}, iters: {epoch_images}, time: {per_image_s:.3f}, "
            f"data: {waited_s:.3f}) {values}"
        )
        if self.bar is not None:
            self.bar.set_postfix_str(values)
        else:
            say(line)
        record = {"epoch": epoch, "iters": epoch_images, "images": images, "lr": lr}
        record |= {"time_s": round(per_image_s, 6), "data_s": round(waited_s, 6), **losses}
        finite = {key: value if math.isfinite(value) else None for key, value in record.items()}
        with open(self.folder / "loss_log.txt", "a") as log:
            log.write(line + "\n")
        with open(self.folder / "metrics.jsonl", "a") as log:
            log.write(json.dumps(finite) + "\n")

    def show(self, model: Reporter, epoch: int, save: bool = False) -> None:
        """Give the stage its row of pictures on the page; with `save` bring them up to date."""
        if self.page is None:
            return
        stage = model.stage(epoch)
        if self.row == stage.number and not save:
            return
        model.compute_visuals()
        visuals = model.get_current_visuals()
        files = {label: f"images/{stage.file_stem}_{label}.png" for label in visuals}
        for label, images in visuals.items():
            save_image(tensor2im(images), self.web / files[label])
        if self.row != stage.number:
            self.page.add_row(stage.number, stage.heading, list(files.items()))
            self.row = stage.number

    def end_epoch(self, epoch: int, time_s: float, old_lr: float, lr: float) -> None:
        """A line at the end of an epoch: how long it took, and how the learning rate goes on."""
        change = f", learning rate {old_lr:.7f} -> {lr:.7f}" if lr not in (old_lr, 0.0) else ""
        self.say(f"end of epoch {epoch} / {self.n_epochs}, {time_s:.0f} s{change}")

    def say(self, line: str) -> None:
        """Print a line, above the progress bar if there is one."""
        if self.writes:
            if self.bar is not None:
                self.bar.clear()
            say(line)

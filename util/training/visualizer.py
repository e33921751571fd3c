"""What a run tells people: progress, losses, pictures, written by one process."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from util.errors import Stopped, say
from util.labels.colours import shown
from util.lazy import torch
from util.machine import memory, peak_mib
from util.record import Record, RunInfo, Speed, Standing, Step
from util.threads import BackgroundThread
from util.trackers.base_tracker import Tracker
from util.trackers.guard import start_trackers
from util.training.console import Console, duration, percent
from util.training.fixed_sample import FixedSample
from util.training.log import EpochMeans, RunLog
from util.training.summary import how_it_went, weights, where_things_are
from util.training.types import BaseModel, Loader
from util.training_page.page import FIXED, TrainingPage


def crossed(before: int, after: int, every: int) -> bool:
    """Whether a counter that went from `before` to `after` reached a multiple of `every`."""
    return after // every > before // every


@dataclass(frozen=True)
class Frequencies:
    """Images of the run between two times that something is done.

    Args:
        print_losses: a line of losses.
        display: a look at whether the page has the epoch's pictures.
        update_html: bring them up to date.
    """

    print_losses: int = 100
    display: int = 400
    update_html: int = 1000


class Visualizer:
    """Terminal, logs, page and trackers of a training run.

    The page is written by `writer`, in order with the checkpoints, beside the training.

    Args:
        run: what pages and live views tell of it.
        n_epochs: number of the last epoch.
        writes: whether this process is the one that writes and prints.
        resumed: `state_dict()` of the session to go on from: what came after it is cut off. With
            no more than {"row": n} the logs are kept whole. None: begin anew.
        frequencies: when losses and pictures are shown.
        winsize: px of a picture on the page; 0: no page.
        trackers: live views besides the page, as `util.trackers.guard.start_trackers` takes them.
        dataset: tells what is counted, and gives the sample that is shown anew in every epoch.
    """

    def __init__(
        self,
        run: RunInfo,
        n_epochs: int,
        writes: bool = True,
        resumed: dict | None = None,
        frequencies: Frequencies = Frequencies(),
        winsize: int = 256,
        trackers: dict[str, dict[str, Any]] | None = None,
        dataset: Loader | None = None,
    ) -> None:
        self.folder, self.n_epochs, self.writes = run.folder, n_epochs, writes
        self.labels = run.labels
        self.frequencies, self.dataset, self.began = frequencies, dataset, time.perf_counter()
        self.unit: str = dataset.unit if dataset is not None else "images"
        self.row = (resumed or {}).get("row", 0)  # of the last row of pictures that was shown
        self.means = EpochMeans()
        self.weights = run.losses.weights
        self.console = Console(n_epochs, writes, self.unit, self._show_standing)
        self.writer = BackgroundThread()
        self.trackers: list[Tracker] = []
        self.sample: FixedSample | None = None
        self.page: TrainingPage | None = None
        if not writes:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run_log = RunLog(self.folder, resumed)
        if winsize:
            last_row = None if resumed is None else self.row
            self.page = TrainingPage(run, winsize, last_row, n_epochs)
        self.trackers += start_trackers(trackers or {}, run)

    def state_dict(self) -> dict:
        """Bytes of the logs, and the last row that was shown."""
        return (self.run_log.state_dict() if self.writes else {}) | {"row": self.row}

    def epoch(
        self, loader: Iterable[dict], epoch: int, batch_size: int, seen: int = 0
    ) -> Iterator[dict]:
        """The loader's batches; see `Console.batches`."""
        if self.page is not None:
            self.writer.put(self.page.begin_epoch, epoch)
        return self.console.batches(loader, epoch, batch_size, seen)

    def end_step(
        self, model: BaseModel, epoch: int, epoch_images: int, before: int, images: int
    ) -> None:
        """Show pictures and log losses, where a step passed a multiple of their frequencies.

        Args:
            epoch_images: images seen in this epoch.
            before, images: images seen in the run, before and after the step.
        """
        self.writer.check()
        self.means.add(model.current_losses())
        save = crossed(before, images, self.frequencies.update_html)
        if save or crossed(before, images, self.frequencies.display):
            self.show(model, epoch, save)
        if crossed(before, images, self.frequencies.print_losses):
            self.log_losses(model, epoch, epoch_images, images)

    def log_losses(self, model: BaseModel, epoch: int, epoch_images: int, images: int) -> None:
        """The model's losses as one line, on the terminal, in the logs and for the trackers.

        Args:
            epoch_images, images: images seen in this epoch, and in the run.
        """
        if not self.writes:
            return
        losses, lr = model.get_current_losses(), model.learning_rate()  # waits for the device
        record = Record(Step(epoch, epoch_images, images, lr), losses, self._speed(),
                        weights=self.weights)  # fmt: skip
        self.console.losses(record.to_text(), losses)
        self._log(record)

    def _speed(self) -> Speed:
        per_image_s, waited_s = self.console.pace()
        return Speed(round(per_image_s, 6), round(waited_s, 6), peak_mib())

    def _log(self, record: Record) -> None:
        self.run_log.log(record)
        if self.page is not None:
            self.writer.put(self.page.log, record)
        for tracker in self.trackers:
            tracker.log(record)

    def show(self, model: BaseModel, epoch: int, save: bool = False) -> None:
        """Show the row's pictures, if they were not yet; with `save` bring them up to date."""
        if not self.shows:
            return
        row = model.page_row(epoch)
        if self.row == row.number and not save:
            return
        model.compute_visuals()
        visuals = model.get_current_visuals()
        if self.sample is not None:
            again = self.sample.visuals(model)
            visuals = visuals | {FIXED + label: images for label, images in again.items()}
        pictures = {label: self._picture(label, images) for label, images in visuals.items()}
        if self.page is not None:
            self.writer.put(self.page.show, row, pictures)
        for tracker in self.trackers:
            tracker.show(row, pictures)
        self.row = row.number

    def _picture(self, label: str, images: torch.Tensor | np.ndarray) -> np.ndarray:
        """The first image of a visual as (H, W, 3) uint8, a label map in its colours."""
        is_array = isinstance(images, np.ndarray)
        labels = None if is_array else self.labels(label.removeprefix(FIXED), images.shape[1])
        return shown(images, labels)

    @property
    def shows(self) -> bool:
        """Whether pictures go anywhere."""
        return self.page is not None or bool(self.trackers)

    def end_epoch(self, step: Step, time_s: float, lr: float) -> None:
        """At the end of an epoch: the means of its losses, as one record; and a line that tells how
        long it took, the most memory that was taken so far, how the learning rate goes on, and how
        far the run is.

        Args:
            step: the epoch's last one.
            lr: learning rate of the next epoch.
        """
        means, standing = self.means.take(), self.console.standing()
        if means and self.writes:
            record = Record(step, means, self._speed(), over_epoch=True, weights=self.weights)
            self.say(record.to_text())
            self._log(record)
        self._show_standing(standing)
        taken = memory(peak=True)
        parts = [f"end of epoch {step.epoch} / {self.n_epochs}", f"{time_s:.0f} s"]
        parts += [f"peak {taken}"] if taken else []
        parts += [f"learning rate {step.lr:.7f} -> {lr:.7f}"] if lr not in (step.lr, 0.0) else []
        if step.epoch < self.n_epochs:
            parts += [f"{percent(standing.share)} of the run done"]
            parts += [f"{duration(standing.left_s)} left"] if standing.left_s is not None else []
        self.say(", ".join(parts))

    def _show_standing(self, standing: Standing) -> None:
        """Tell an open page how far the run is."""
        if self.page is not None:
            self.writer.put(self.page.show_standing, standing)

    def __enter__(self) -> Visualizer:
        if self.shows and self.dataset is not None:
            self.sample = FixedSample(self.dataset.first())
        return self

    def __exit__(self, kind: type | None, *failure: object) -> None:
        """The training has ended, in whatever way; one that was stopped is summed up."""
        self.console.close()
        if self.page is not None:
            self.writer.put(self.page.close, kind is None)
        for tracker in self.trackers:
            tracker.close()
        try:
            self.writer.close()
        except OSError:
            if kind is None:
                raise  # else what ended the run is what is told
        if kind is Stopped:
            self._sum_up("this session")

    def finish(self, remark: str, test_command: str) -> None:
        """The training is complete: sum it up, and say what to type next.

        Args:
            remark: about the data, or empty.
            test_command: tests the run's weights.
        """
        self._sum_up(f"finished{remark}")
        if weights(self.folder):
            self.say(f"next: {test_command}")

    def _sum_up(self, what: str) -> None:
        time_s, pace = time.perf_counter() - self.began, self.console.overall
        num_threads = self.dataset.num_threads if self.dataset is not None else 0
        first, *more = how_it_went(pace, time_s, self.unit, num_threads)
        self.say("\n".join([f"{what}: {first}", *where_things_are(self.folder), *more]))

    def say(self, line: str) -> None:
        """Print a line, above the progress bar if there is one."""
        if self.writes:
            say(line)

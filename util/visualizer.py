"""The reference's view of a training and of results, for scripts that have loops of their own.

train.py and test.py do not pass through here: see util/training and util/results.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
from pathlib import Path

import numpy as np

from util import distributed
from util.atomic import plain
from util.errors import say, warn
from util.html import HTML
from util.images.convert import save_image, tensor2im
from util.lazy import torch
from util.record import LossGuide, PageRow, Record, RunInfo, Speed, Step
from util.training.log import RunLog
from util.training_page.page import TrainingPage

Visuals = dict[str, "torch.Tensor | np.ndarray"]  # label -> (N, C, H, W) in [-1, 1]


def save_images(
    webpage: HTML,
    visuals: Visuals,
    image_path: list[str],
    aspect_ratio: float = 1.0,
    width: int = 256,
    use_wandb: bool = False,
) -> None:
    """Write the first image of each visual, <stem>_<label>.png, and their row in a page.

    Args:
        image_path: the files of the batch; the first one gives heading and stem.
        aspect_ratio: width / height is multiplied by it.
        width: px of a picture on the page.
        use_wandb: show them in the running W&B run too.
    """
    stem = Path(image_path[0]).stem
    pictures = {label: tensor2im(images) for label, images in visuals.items()}
    files = {label: f"{stem}_{plain(label, 'visual')}.png" for label in pictures}
    for label, picture in pictures.items():
        save_image(picture, webpage.get_image_dir() / files[label], aspect_ratio)
    webpage.add_header(stem)
    names = list(files.values())
    webpage.add_images(names, list(files), names, width)
    if use_wandb:
        import wandb

        wandb.log({label: wandb.Image(picture) for label, picture in pictures.items()})


class Visualizer:
    """Log and page of a training, checkpoints/<name>/{loss_log.txt,metrics.jsonl,web/index.html}.

    Args:
        opt: the options of a training.
    """

    def __init__(self, opt: argparse.Namespace) -> None:
        given = vars(opt)
        self.name, self.use_html = given["name"], not given["no_html"]
        self.writes = distributed.rank() == 0
        self.n_epochs = given["n_epochs"] + given["n_epochs_decay"]
        self.saved = False  # whether the page shows this epoch's pictures
        self.epoch = self.iters = 0  # of the last line of losses
        self.before = 0  # images of the run before this epoch, as far as it was told
        self.page: TrainingPage | None = None
        if not self.writes:
            return
        if given["use_wandb"] or given["track"]:
            warn("live views (--track, --use_wandb) belong to train.py; this loop shows none")
        folder = Path(given["checkpoints_dir"], self.name).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        self.log = RunLog(folder, {})  # what is there is kept
        if self.use_html:
            last_row = given["epoch_count"] - 1 if given["continue_train"] else None
            # Its model is not known here: what is said of the losses is what holds for any GAN.
            run = RunInfo(
                self.name, folder, given["continue_train"], given, losses=LossGuide(["D", "G"])
            )
            self.page = TrainingPage(run, given["display_winsize"], last_row, self.n_epochs)
            atexit.register(self.close)

    def reset(self) -> None:
        """An epoch begins: its first pictures are to be shown."""
        self.saved = False

    def display_current_results(
        self, visuals: Visuals, epoch: int, *told: int, save_result: bool = False
    ) -> None:
        """Show pictures in the epoch's row of the page, if it has none yet or with `save_result`.

        Args:
            told: (save_result), or (total_iters, save_result) in newer loops.
        """
        save = save_result or (bool(told) and told[-1] is True)
        if self.page is None or (self.saved and not save):
            return
        self._begin(epoch)
        pictures = {label: tensor2im(images) for label, images in visuals.items()}
        self.page.show(PageRow.of_epoch(epoch), pictures)
        self.saved = True

    def plot_current_losses(self, *told: float | dict) -> None:
        """Take the images seen: the curves are drawn from the lines of `print_current_losses`.

        Args:
            told: (total_iters, losses), or (epoch, counter_ratio, losses) in older loops.
        """
        if len(told) == 2:
            self.before = told[0] - self.iters

    def print_current_losses(
        self, epoch: int, iters: int, losses: dict[str, float], t_comp: float, t_data: float
    ) -> None:
        """A line of losses on the terminal, in the logs and in the page's curves.

        Args:
            iters: images seen in this epoch.
            t_comp, t_data: seconds an image took, and waited for data.
        """
        if not self.writes:
            return
        self._begin(epoch)
        self.iters = iters
        step, speed = (
            Step(epoch, iters, self.before + iters),
            Speed(round(t_comp, 6), round(t_data, 6)),
        )
        record = Record(step, losses, speed)
        say(record.to_text())
        self.log.log(record)
        if self.page is not None:
            self.page.log(record)

    def _begin(self, epoch: int) -> None:
        if epoch != self.epoch:
            self.before, self.epoch, self.iters = self.before + self.iters, epoch, 0
            if self.page is not None:
                self.page.begin_epoch(epoch)

    def close(self) -> None:
        """Tell an open page that the training has ended; done by itself when the program ends."""
        if self.page is not None:
            atexit.unregister(self.close)
            with contextlib.suppress(OSError):  # the run's folder may have been moved away
                self.page.close(finished=self.epoch >= self.n_epochs)

"""A training, assembled from its options: the one file of util that sees `opt`."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from util import distributed
from util.checkpoints.plan import DiskUse, SavePlan
from util.checkpoints.state import first_epoch
from util.errors import begun, say, warn
from util.labels.colours import legend
from util.labels.table import Labels, labels_of_visual
from util.machine import memory_errors
from util.record import LossGuide, RunInfo, Step, command_line
from util.seed import mix, seed_everything
from util.signals import SignalHandler
from util.trackers import asked_trackers
from util.training.checkpointer import Checkpointer, resumed_progress
from util.training.nan_guard import NanGuard
from util.training.run_folder import make_room
from util.training.summary import nothing_left
from util.training.types import BaseModel, Loader, TrainOptions
from util.training.visualizer import Frequencies, Visualizer


class Session:
    """What train.py does between two commands: from the first epoch, or from where a checkpoint
    left off, to the last one.

        with Session(opt, options, model, dataset, state, signals) as run:
            for epoch in run.epochs():
                for batch in run.batches(epoch):
                    with run.step(batch):
                        model.set_input(batch)
                        model.optimize_parameters()

    Nothing is written before it is entered; a run that is complete already stays as it is.

    Args:
        opt: decided by `options`, which are saved in the run's folder.
        model: set up.
        state: what `model.setup` returned: the training state that the run goes on from, or None.
        signals: entered.

    Raises:
        UserError: the run goes on, and its data have changed.
    """

    def __init__(
        self,
        opt: argparse.Namespace,
        options: TrainOptions,
        model: BaseModel,
        dataset: Loader,
        state: dict | None,
        signals: SignalHandler,
    ) -> None:
        self.opt, self.options, self.model, self.dataset = opt, options, model, dataset
        self.state, self.signals = state, signals
        first = first_epoch(state, opt.epoch_count, opt.epoch_count_given)
        self.progress = resumed_progress(state, first, len(dataset), opt.allow_changed)
        self.last_epoch = opt.n_epochs + opt.n_epochs_decay
        self.complete = self.progress.epoch > self.last_epoch
        self.step_size = opt.batch_size * distributed.world_size()  # images
        self.open = contextlib.ExitStack()  # what is to be closed at the end, last one first

    def __enter__(self) -> Session:
        last = self.last_epoch
        if self.complete:
            say(nothing_left(last))
            return self
        if self.opt.continue_train:
            images = f"{self.progress.images} {self.dataset.unit}"
            say(f"going on with epoch {self.progress.epoch} of {last}, after {images}")
        self._choose_samples()
        # What does not fit ends here, before anything is written.
        self.model.set_input(self.dataset.peek())
        self.signals.stop_before_start()
        if distributed.rank() == 0:
            make_room(self.opt.run_dir, self.opt.overwrite, keep=self.opt.continue_train)
            self.options.save(self.opt.run_dir)
            self.dataset.remember_files(self.opt.run_dir)
        with self.open as opened:
            self._open(opened)
            self.open = opened.pop_all()
        return self

    def _open(self, opened: contextlib.ExitStack) -> None:
        """Logs, page, live views and checkpoints."""
        opt, view_state = self.opt, None
        if opt.continue_train:
            view_state = (self.state or {}).get("view", {"row": self.progress.epoch - 1})
        run = run_info(opt, self.options, self.model, self.dataset.labels)
        facts = self.options.kept_in_checkpoints() if distributed.rank() == 0 else {}
        self.visualizer = opened.enter_context(
            Visualizer(
                run,
                self.last_epoch,
                writes=distributed.rank() == 0,
                resumed=view_state,
                frequencies=Frequencies(opt.print_freq, opt.display_freq, opt.update_html_freq),
                winsize=0 if opt.no_html else opt.display_winsize,
                trackers=asked_trackers(vars(opt)),
                dataset=self.dataset,
            )
        )
        self.checkpointer = opened.enter_context(
            Checkpointer(
                self.model,
                self.visualizer,
                NanGuard(self.model, opt.on_nan, opt.run_dir),
                self.progress,
                self.signals,
                replace(save_plan(opt), facts=facts),
                run,
                resumed_from=(self.state or {}).get("checkpoint"),
            )
        )

    def __exit__(self, kind: type | None, *failure: object) -> None:
        self.open.__exit__(kind, *failure)
        if kind is None and not self.complete:
            self.visualizer.finish(self.dataset.describe_bad(), test_command(self.opt))

    def epochs(self) -> Iterator[int]:
        """The numbers of the epochs that are to be trained; each is shown and saved at its end."""
        for epoch in range(self.progress.epoch, self.last_epoch + 1):
            started = time.time()
            # Random numbers are those of (seed, epoch, process), in mid-epoch as they were left.
            seed_everything(mix(self.opt.seed, epoch, distributed.rank()))
            state, self.state = self.state, None
            if state is not None:
                self.checkpointer.restore_process(state)
            yield epoch
            self.visualizer.show(self.model, epoch, save=True)
            rate, next_rate = self.model.update_learning_rate()
            step = Step(epoch, self.progress.seen, self.progress.images, rate)
            self.visualizer.end_epoch(step, time.time() - started, next_rate)
            self.checkpointer.end_epoch(last=epoch == self.last_epoch)

    def batches(self, epoch: int) -> Iterator[dict]:
        """The batches of an epoch, or those that are left of it."""
        self._choose_samples()
        return self.visualizer.epoch(self.dataset, epoch, self.step_size, self.progress.seen)

    def _choose_samples(self) -> None:
        seen = self.progress.seen // distributed.world_size()
        self.dataset.set_epoch(self.progress.epoch, seen)

    @contextlib.contextmanager
    def step(self, batch: dict) -> Iterator[None]:
        """Around what the model does with a batch: its numbers are checked, it is counted, and what
        is due after it is logged, shown and saved; the run stops here if that is wished.

        A step that raises is not counted, and no checkpoint holds a half of it.
        """
        if not self.checkpointer.steps:
            self.open.enter_context(begun())
            self.open.enter_context(memory_errors(vars(self.opt)))
        self.checkpointer.begin_step(batch)
        yield
        self.checkpointer.check_step()
        self.signals.stepped = True
        self.model.after_step()
        before, progress = self.checkpointer.advance(self.step_size), self.progress
        images = before, progress.images
        self.visualizer.end_step(self.model, progress.epoch, progress.seen, *images)
        self.checkpointer.end_step(before)


def save_plan(opt: argparse.Namespace) -> SavePlan:
    """When the flags want checkpoints."""
    return SavePlan(
        latest_images=opt.save_latest_freq,
        by_iter=opt.save_by_iter,
        epochs=opt.save_epoch_freq,
        minutes=opt.save_every_minutes,
        keep_last=opt.keep_last,
        safetensors=opt.safetensors,
        keep_numbered=opt.keep_checkpoints,
        all_states=opt.save_state == "all",
    )


def say_disk_use(opt: argparse.Namespace, model: BaseModel, dataset: Loader) -> None:
    """What the checkpoints of the training will take on the disk, and whether it has room."""
    plan, last_epoch = save_plan(opt), opt.n_epochs + opt.n_epochs_decay
    px = max((width * height for width, height in dataset.sizes), default=0)
    picture = px * max(opt.input_nc, opt.output_nc) * 4  # bytes, as float32
    sizes = model.checkpoint_sizes(picture, len(dataset) * last_epoch)
    use = DiskUse(sizes, plan, plan.numbered(last_epoch, len(dataset)), Path(opt.run_dir))
    say(use.describe())
    if warning := use.warning():
        warn(warning)


def run_info(
    opt: argparse.Namespace, options: TrainOptions, model: BaseModel, labels: dict[str, Labels]
) -> RunInfo:
    """What page and live views may tell of the run."""
    beside = ("trained", "pixel_flags", "labels")
    sides = model.visual_sides
    plain = {flag: value for flag, value in vars(opt).items() if flag not in beside}
    return RunInfo(
        name=opt.name,
        folder=Path(opt.run_dir),
        resumed=opt.continue_train,
        options=plain | {"device": str(opt.device)},
        differing=options.differing(),
        networks="\n".join(f"{name}: {net}" for name, net in model.networks().items()),
        resume_command=resume_command(opt),
        losses=LossGuide(
            model.loss_names, model.loss_help, model.healthy, type(model).loss_weights(opt)
        ),
        visual_groups=model.visual_groups,
        labels=lambda visual, channels: labels_of_visual(
            visual, channels, sides, labels, opt.direction
        ),
        legend=legend(labels),
    )


def resume_command(opt: argparse.Namespace) -> str:
    """What takes the run up again, for people."""
    processes = distributed.world_size()
    start = ["torchrun", f"--nproc_per_node={processes}"] if processes > 1 else ["python"]
    flags = {"name": opt.name, "continue_train": None} | _place(opt)
    if opt.device.type != "cuda":
        flags["device"] = str(opt.device)
    return command_line([*start, "train.py"], flags)


def test_command(opt: argparse.Namespace) -> str:
    """What tests the run's weights, for people."""
    flags = {"dataroot": opt.dataroot, "name": opt.name} | _place(opt)
    return command_line(["python", "test.py"], flags)


def _place(opt: argparse.Namespace) -> dict[str, str]:
    """The flag that says where runs are kept, if they are not in the usual place."""
    usual = opt.checkpoints_dir == "./checkpoints"
    return {} if usual else {"checkpoints_dir": opt.checkpoints_dir}

"""Keeps a training safe: saves it in time, hears signals, stops on non-finite numbers."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from util import distributed
from util.checkpoints.checkpoint import LATEST, list_checkpoints, save_checkpoint
from util.errors import CANNOT_WRITE, NonFinite, SaveError, Stopped, UserError, say, warn
from util.lazy import torch
from util.seed import mix, random_state, seed_everything, set_random_state
from util.tensors import tensors_in, tensors_to
from util.threads import BackgroundThread
from util.training.nan_guard import NanGuard, Watched, all_finite
from util.training.signals import SignalHandler
from util.training.visualizer import crossed


@dataclass
class Progress:
    """Where a training is: the epoch at work, samples of it and of the run that are done."""

    epoch: int = 1
    seen: int = 0
    images: int = 0

    def advance(self, samples: int, epoch_size: int) -> int:
        """Count a step; the last one of an epoch may be smaller. Returns: images before it."""
        before, seen = self.images, min(self.seen + samples, epoch_size)
        self.images, self.seen = before + seen - self.seen, seen
        return before


@dataclass(frozen=True)
class SavePlan:
    """When checkpoints are due, in images, epochs and minutes (0: never), and how they are kept."""

    latest_images: int
    by_iter: bool
    epochs: int
    minutes: float
    keep_last: int
    safetensors: bool


class Kept(Watched, Protocol):
    """What is saved of a model."""

    resumed: dict | None

    def weights(self) -> dict[str, dict[str, torch.Tensor]]: ...

    def state_dict(self) -> dict: ...

    def local_state(self) -> dict: ...

    def load_local_state(self, state: dict) -> None: ...


class Stateful(Protocol):
    """Logs and pages, which go on where they were."""

    unit: str  # what is counted, for people
    writer: BackgroundThread  # what a checkpoint tells of pages is written before it

    def state_dict(self) -> dict: ...


class Checkpointer:
    """Asked once before and after each step, and after each epoch.

    A checkpoint is copied in the step that it is due, and written beside the steps that follow; a
    run that ends, in whatever way, waits until it is on disk. There is one copy at most: a second
    checkpoint waits for the first.

    Args:
        model: set up, with its optimizers.
        at: the training's position; counted on by the caller.
        size: samples of an epoch.
        signals: entered.
        seed: the run's.
        resume_command: what takes the run up again, for people.
    """

    def __init__(
        self,
        model: Kept,
        view: Stateful,
        at: Progress,
        size: int,
        signals: SignalHandler,
        run_dir: str | Path,
        seed: int,
        plan: SavePlan,
        on_nan: str,
        resume_command: str,
    ) -> None:
        self.model, self.view, self.run_dir = model, view, Path(run_dir)
        self.at, self.size, self.seed, self.plan = at, size, seed, plan
        self.signals, self.resume_command = signals, resume_command
        self.nan_guard = NanGuard(model, on_nan, run_dir)
        self.steps = 0
        self.saved_at = time.monotonic()
        self.in_step = False  # a half step is not worth saving
        self.labels: list[str] = []  # of a checkpoint that is due, or could not be written
        self.failed = False  # the last attempt to save, as far as it is known
        self.job: Future[Outcome] | None = None  # a checkpoint on its way to the disk
        self.labels_there: list[str] = []  # of that checkpoint
        self.came_from: int | None = (model.resumed or {}).get("unit")

    def __enter__(self) -> Checkpointer:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        """What a user can mend, e.g. a damaged image, ends the run with its last step saved."""
        alone = distributed.world_size() == 1  # the others are not here to save together
        mended = type(error) is UserError or getattr(error, "errno", None) in CANNOT_WRITE
        if mended and self.steps:
            error.exit_code = 1
            if alone and not self.in_step:
                with contextlib.suppress(SaveError):  # the first failure is what is told
                    self.save(at_once=True)
                    where = f"epoch {self.at.epoch} after {self.at.images} {self.view.unit}"
                    say(f"stopped in {where}, saved; go on with:\n{self.resume_command}")
        self.failed = True  # there is no step after which to try again
        try:
            self._hear()
        except SaveError as failure:
            if error is None:
                raise
            warn(str(failure))

    def begin_epoch(self) -> None:
        """Random numbers are those of (seed, epoch, process), in mid-epoch as they were left."""
        seed_everything(mix(self.seed, self.at.epoch, distributed.rank()))
        resumed, self.model.resumed = self.model.resumed, None
        if resumed is not None:
            local = resumed["local"]
            if len(local) != distributed.world_size():
                warn(
                    f"the run had {len(local)} processes, now {distributed.world_size()}: "
                    "going on, but not exactly as it would have"
                )
            own = local[distributed.rank() % len(local)]
            self.model.load_local_state(own["model"])
            if self.at.seen and len(local) == distributed.world_size():
                set_random_state(own["random"])
            newest = next(iter(list_checkpoints(self.run_dir)), None)
            older = newest is not None and newest.number != self.came_from
            if distributed.highest(int(older))[0]:
                self.save()  # the logs were cut to that checkpoint: from now on it is the newest

    def begin_step(self, batch: dict) -> None:
        """Before the model sees the batch."""
        self.in_step = True
        self.steps += 1
        self.nan_guard.begin_step(self.steps, self.at.epoch, batch)

    def check_step(self) -> None:
        """After the updates; raises NonFinite, with the checkpoint that is left."""
        try:
            self.nan_guard.check_step()
        except NonFinite as error:
            raise self._with_last_good(error) from None

    def _with_last_good(self, error: NonFinite) -> NonFinite:
        self.view.writer.wait()
        good = next(iter(list_checkpoints(self.run_dir)), None)
        left = f"{good.folder} ({good.describe()})" if good else "none yet"
        return NonFinite(f"{error}; last good checkpoint: {left}")

    def advance(self, samples: int) -> int:
        """The step is complete. Returns: images seen before it."""
        self.in_step = False
        return self.at.advance(samples, self.size)

    def end_step(self, images_before: int) -> None:
        """Save if it is due, stop if that is wished; at an epoch's end `end_epoch` does both."""
        if crossed(images_before, self.at.images, self.plan.latest_images):
            own = f"iter_{self.at.images}" if self.plan.by_iter else LATEST
            self.labels.append(own)
        if self.at.seen < self.size:
            self._save_or_stop()

    def end_epoch(self, last: bool) -> None:
        """After an epoch: `at` moves on to the next one."""
        milestone = self.at.epoch % self.plan.epochs == 0
        self.labels += [str(self.at.epoch)] if milestone else []
        self.labels += [LATEST] if milestone or last else []
        self.at.epoch, self.at.seen = self.at.epoch + 1, 0
        self._save_or_stop(last)

    def _save_or_stop(self, last: bool = False) -> None:
        if self.job is not None and self.job.done():
            self._hear()
        minutes = (time.monotonic() - self.saved_at) / 60
        timely = distributed.rank() == 0 and 0 < self.plan.minutes <= minutes
        again = self.failed and self.job is None
        wanted = timely or self.signals.save or again
        code, due = distributed.highest(self.signals.exit_code, int(wanted))
        if code or due:
            self.signals.save = False
            self.labels.append(LATEST)
        if self.labels:
            self.save(at_once=bool(code) or last)
        if code:
            raise Stopped(
                f"stopped in epoch {self.at.epoch} after {self.at.images} {self.view.unit}, saved; "
                f"go on with:\n{self.resume_command}",
                code,
            )

    def save(self, at_once: bool = False) -> None:
        """Write a checkpoint under the labels that are due (or `latest`), unless a number in it is
        not finite. All processes have to call it.

        Args:
            at_once: wait until it is on disk, and if it fails try again now.
        """
        self._hear()
        self.nan_guard.read_results()
        cpu = torch.device("cpu")
        weights = self.model.weights()
        model_state = tensors_to(self.model.state_dict(), cpu, copy=True)
        for name, tensors in weights.items():
            if not all_finite(tensors.values()):
                raise self._with_last_good(NonFinite(f"weights of network {name} are not finite"))
        if not all_finite(tensors_in(model_state)):
            raise self._with_last_good(NonFinite("the training state is not finite"))
        local = {"model": self.model.local_state(), "random": random_state()}
        everywhere = distributed.gathered(tensors_to(local, cpu, copy=True))
        if distributed.rank() == 0:
            state = {
                "progress": asdict(self.at) | {"size": self.size},
                "model": model_state,
                "local": everywhere,
                "view": self.view.state_dict(),
            }
            self._write(weights, state)
            if at_once:
                self._hear()
                if self.failed:
                    self._write(weights, state)
                    self._hear()
        self.saved_at, self.labels = time.monotonic(), []

    def _write(self, weights: dict, state: dict) -> None:
        """Have a checkpoint written; nobody else holds its tensors."""
        self.labels_there = list(dict.fromkeys(self.labels)) or [LATEST]
        plan = {"keep_last": self.plan.keep_last, "safetensors": self.plan.safetensors}
        save = functools.partial(save_checkpoint, spared=self.came_from, **plan)
        given = (self.run_dir, weights, state, self.labels_there)
        self.job = self.view.writer.put(_outcome, functools.partial(save, *given))

    def _hear(self) -> None:
        """Wait for the checkpoint on its way. A failure is told and tried again, with the next
        step's checkpoint or by the caller, and then final."""
        job, self.job = self.job, None
        if job is None:
            return
        told, error = job.result()
        for what in told:
            warn(what)
        if error is None:
            self.failed = False
            return
        if self.failed:
            raise error
        self.failed = True
        self.labels = self.labels_there + self.labels
        warn(f"{error}; trying once more")


# What is worth a warning, and what went wrong.
Outcome = tuple[list[str], SaveError | None]


def _outcome(save: Callable[[], list[str]]) -> Outcome:
    try:
        return save(), None
    except SaveError as error:
        return [], error


def resumed_progress(state: dict | None, epoch: int, size: int, allow_changed: bool) -> Progress:
    """The position that a checkpoint was saved at; the start of `epoch` without one, or where
    `--epoch_count` asks for another epoch.

    Args:
        size: samples of an epoch.

    Raises:
        UserError: the data had another size, and that is not allowed.
    """
    if state is None:
        return Progress(epoch)
    saved = state["progress"]
    if saved["size"] != size and not allow_changed:
        raise UserError(
            f"--continue_train: the data has changed, {saved['size']} -> {size} images an epoch; "
            "give the same images, or --allow_changed"
        )
    seen = saved["seen"] if (saved["epoch"], saved["size"]) == (epoch, size) else 0
    return Progress(epoch, seen, saved["images"])

"""Keeps a training safe: saves it in time, and ends it saved when a signal or a mistake ends it."""

from __future__ import annotations

import errno
import functools
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path

from util import distributed
from util.checkpoints.checkpoint import LATEST, list_checkpoints, save_checkpoint
from util.checkpoints.plan import SavePlan
from util.checkpoints.state import StepUndo, free_graphs, taking_up
from util.errors import CANNOT_WRITE, NonFinite, SaveError, Stopped, UserError, say, warn
from util.lazy import torch
from util.machine import OutOfMemory, memory_errors
from util.record import RunInfo
from util.seed import random_state, set_random_state
from util.signals import SignalHandler
from util.tensors import all_finite, tensors_in, tensors_to
from util.training.nan_guard import NanGuard
from util.training.types import BaseModel
from util.training.visualizer import Visualizer, crossed

RETRY_S = 1.0  # between the two attempts to write a checkpoint


@dataclass
class Progress:
    """Where a training is.

    Args:
        epoch: at work, from 1.
        seen: samples of it that are done.
        images: samples of the run that are done.
        size: samples of an epoch.
    """

    epoch: int = 1
    seen: int = 0
    images: int = 0
    size: int = 0

    def advance(self, samples: int) -> int:
        """Count a step; the last one of an epoch may be smaller. Returns: images before it."""
        before, seen = self.images, min(self.seen + samples, self.size)
        self.images, self.seen = before + seen - self.seen, seen
        return before


class Checkpointer:
    """Asked before and after each step, and after each epoch.

    A checkpoint is copied in the step that it is due, and written beside the steps that follow; a
    run that ends, in whatever way, waits until it is on disk. There is one copy at most: a second
    checkpoint waits for the first. What cannot be written is tried once more, and then ends the
    run, all its processes in the same step.

    Args:
        model: set up, with its optimizers.
        progress: the training's position, counted on here.
        signals: entered.
        run: where the run is, and what takes it up again.
        resumed_from: number of the checkpoint that the run goes on from, which is kept.
    """

    def __init__(
        self,
        model: BaseModel,
        visualizer: Visualizer,
        nan_guard: NanGuard,
        progress: Progress,
        signals: SignalHandler,
        plan: SavePlan,
        run: RunInfo,
        resumed_from: int | None = None,
    ) -> None:
        self.model, self.visualizer, self.nan_guard = model, visualizer, nan_guard
        self.progress, self.signals, self.plan, self.run = progress, signals, plan, run
        self.resumed_from = resumed_from
        self.undo = StepUndo(model)
        model.prepare_optimizers(self._before_update)
        self.steps = 0  # begun in this session
        self.in_step = False  # a half step is not worth saving
        self.labels: list[str] = []  # of a checkpoint that is due
        self.saving: Future[Outcome] | None = None  # a checkpoint on its way to the disk
        self.saved_at = time.monotonic()

    def __enter__(self) -> Checkpointer:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        """What a user can mend, e.g. a damaged image or too large a batch, ends the run with its
        last whole step saved."""
        alone = distributed.world_size() == 1  # the others are not here to save together
        mended = type(error) is UserError or getattr(error, "errno", None) in CANNOT_WRITE
        if isinstance(error, OutOfMemory):
            mended = self._leave_step(error)
        if mended and self.steps and alone and not self.in_step:
            try:
                with memory_errors():
                    self.save(at_once=True)
                say(f"stopped in {self._where()}, saved; go on with:\n{self.run.resume_command}")
            except (SaveError, OutOfMemory) as failure:  # what ended the run is the error
                warn(str(failure))
        failure = self._wait_for_save()
        if failure is not None and error is None:
            raise failure
        if failure is not None:
            warn(str(failure))

    def _leave_step(self, error: OutOfMemory) -> bool:
        """Free what a step has taken that ran out of memory, and take the step back. Returns:
        whether there is a whole step to save."""
        if error.__cause__ is not None:
            traceback.clear_frames(error.__cause__.__traceback__)  # their variables hold the most
        free_graphs(self.model)
        if self.in_step:
            self.in_step = not self.undo.undo()
        return not self.in_step

    def _where(self) -> str:
        return f"epoch {self.progress.epoch} after {self.progress.images} {self.visualizer.unit}"

    def restore_process(self, state: dict) -> None:
        """Take back what differs between the processes of a run: image pools and the like, and in
        mid-epoch the random numbers as they were left.

        Args:
            state: the training state that the run goes on from; of weights alone it holds nothing
                of that.
        """
        if "local" in state:
            with taking_up(self.run.folder, state):
                self._restore_local(state["local"])
        newest = next(iter(list_checkpoints(self.run.folder)), None)
        older = newest is not None and newest.number != self.resumed_from
        if distributed.highest(int(older))[0]:
            self.save()  # the logs were cut to that checkpoint: from now on it is the newest

    def _restore_local(self, local: list[dict]) -> None:
        processes = distributed.world_size()
        if len(local) != processes:
            warn(
                f"the run had {len(local)} processes, now {processes}: "
                "going on, but not exactly as it would have"
            )
        own = local[distributed.rank() % len(local)]
        self.model.load_local_state(own["model"])
        if self.progress.seen and len(local) == processes:
            set_random_state(own["random"])
        if self.progress.seen and "losses" not in own:  # as versions before saved it
            warn(f"the mean losses of epoch {self.progress.epoch} are those of its remaining steps")
        if self.progress.seen:
            self.visualizer.means.load_state_dict(own.get("losses", {}))

    def begin_step(self, batch: dict) -> None:
        """Before the model sees the batch."""
        self.in_step = True
        self.steps += 1
        self.undo.begin()
        self.nan_guard.begin_step(self.steps, self.progress.epoch, batch)

    def _before_update(self, optimizer: torch.optim.Optimizer) -> None:
        self.undo.before_update(optimizer)
        self.nan_guard.check_gradients(optimizer)

    def check_step(self) -> None:
        """After the updates; raises NonFinite, with the checkpoint that is left."""
        try:
            self.nan_guard.check_step()
        except NonFinite as error:
            raise self._with_last_good(error) from None

    def _with_last_good(self, error: NonFinite) -> NonFinite:
        self.visualizer.writer.wait()
        good = next(iter(list_checkpoints(self.run.folder)), None)
        left = f"{good.folder} ({good.describe()})" if good else "none yet"
        return NonFinite(f"{error}; last good checkpoint: {left}")

    def advance(self, samples: int) -> int:
        """The step is complete. Returns: images seen before it."""
        self.in_step = False
        return self.progress.advance(samples)

    def end_step(self, images_before: int) -> None:
        """Save if it is due, stop if that is wished; at an epoch's end `end_epoch` does both."""
        if crossed(images_before, self.progress.images, self.plan.latest_images):
            own = f"iter_{self.progress.images}" if self.plan.by_iter else LATEST
            self.labels.append(own)
        if self.progress.seen < self.progress.size:
            self._save_or_stop()

    def end_epoch(self, last: bool) -> None:
        """After an epoch: `progress` moves on to the next one."""
        milestone = self.progress.epoch % self.plan.epochs == 0
        self.labels += [str(self.progress.epoch)] if milestone else []
        self.labels += [LATEST] if milestone or last else []
        self.progress.epoch, self.progress.seen = self.progress.epoch + 1, 0
        self._save_or_stop(last)

    def _save_or_stop(self, last: bool = False) -> None:
        """What one process wants, all do: save, stop, or end because a save has failed."""
        done = self.saving is not None and self.saving.done()
        failure = self._wait_for_save() if done else None
        minutes = (time.monotonic() - self.saved_at) / 60
        timely = distributed.rank() == 0 and 0 < self.plan.minutes <= minutes
        wanted = timely or self.signals.save
        code, due, failed = distributed.highest(
            self.signals.exit_code, int(wanted), int(failure is not None)
        )
        if failed:
            raise failure or _failed_elsewhere()
        if code or due:
            self.signals.save = False
            self.labels.append(LATEST)
        if self.labels:
            self.save(at_once=bool(code) or last)
        if code:
            raise Stopped(
                f"stopped in {self._where()}, saved; go on with:\n{self.run.resume_command}", code
            )

    def save(self, at_once: bool = False) -> None:
        """Write a checkpoint under the labels that are due (or `latest`), unless a number in it is
        not finite. All processes have to call it.

        Args:
            at_once: wait until it is on disk.

        Raises:
            NonFinite: nothing is written.
            SaveError: this checkpoint (with `at_once`), or the one before, could not be written.
        """
        self._end_if_not_saved()
        self.nan_guard.read_results()
        cpu = torch.device("cpu")
        weights = self.model.weights()
        model_state = tensors_to(self.model.state_dict(), cpu, copy=True)
        for name, tensors in weights.items():
            if not all_finite(tensors.values()):
                raise self._with_last_good(NonFinite(f"weights of network {name} are not finite"))
        if not all_finite(tensors_in(model_state)):
            raise self._with_last_good(NonFinite("the training state is not finite"))
        local = {
            "model": self.model.local_state(),
            "random": random_state(),
            "losses": self.visualizer.means.state_dict(),
        }
        everywhere = distributed.gathered(tensors_to(local, cpu, copy=True))
        if distributed.rank() == 0:
            state = {
                "progress": asdict(self.progress),
                "model": model_state,
                "local": everywhere,
                "view": self.visualizer.state_dict(),
            }
            labels = list(dict.fromkeys(self.labels)) or [LATEST]
            self._write(weights, state, labels)  # nobody else holds these tensors
        self.saved_at, self.labels = time.monotonic(), []
        if at_once:
            self._end_if_not_saved()

    def _write(self, weights: dict, state: dict, labels: list[str]) -> None:
        """Have a checkpoint written beside the training."""
        save = functools.partial(
            save_checkpoint,
            *(Path(self.run.folder), weights, state, labels, self.plan.keep_last),
            safetensors=self.plan.safetensors,
            spared=self.resumed_from,
            keep_numbered=self.plan.keep_numbered,
            all_states=self.plan.all_states,
            facts=self.plan.facts,
        )
        self.saving = self.visualizer.writer.put(_save_in_two_attempts, save)

    def _end_if_not_saved(self) -> None:
        """Wait for the checkpoint on its way; if it has failed all processes end together."""
        failure = self._wait_for_save()
        if distributed.highest(int(failure is not None))[0]:
            raise failure or _failed_elsewhere()

    def _wait_for_save(self) -> SaveError | None:
        """Wait for the checkpoint on its way, in the process that writes, and tell what is worth a
        warning. Returns: why it could not be written."""
        saving, self.saving = self.saving, None
        if saving is None:
            return None
        warnings, failure = saving.result()
        for text in warnings:
            warn(text)
        return failure


# What is worth a warning, and what went wrong in the end.
Outcome = tuple[list[str], SaveError | None]


def _save_in_two_attempts(save: Callable[[], list[str]]) -> Outcome:
    """Beside the training: what fails for a moment, as network disks do, costs no run."""
    try:
        return save(), None
    except SaveError as error:
        if getattr(error.__cause__, "errno", None) == errno.EFBIG:  # a limit that stays
            return [], error
        warnings = [f"{error}; trying once more"]
    time.sleep(RETRY_S)
    try:
        return warnings + save(), None
    except SaveError as error:
        return warnings, error


def _failed_elsewhere() -> SaveError:
    return SaveError("stopped, for the first process could not save a checkpoint")


def resumed_progress(state: dict | None, epoch: int, size: int, allow_changed: bool) -> Progress:
    """The position that a checkpoint was saved at; the start of `epoch` without one, or where
    `--epoch_count` asks for another epoch.

    Args:
        size: samples of an epoch.

    Raises:
        UserError: the data had another size, and that is not allowed.
    """
    if state is None:
        return Progress(epoch, size=size)
    saved = state["progress"]
    if saved["size"] != size and not allow_changed:
        raise UserError(
            f"--continue_train: the data has changed, {saved['size']} -> {size} images an epoch; "
            "give the same images, or --allow_changed"
        )
    seen = saved["seen"] if (saved["epoch"], saved["size"]) == (epoch, size) else 0
    return Progress(epoch, seen, saved["images"], size)

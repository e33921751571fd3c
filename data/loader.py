"""Batches whose content depends on (seed, epoch, index) alone, not on workers or timing."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess

from data import files_record
from data.samples import BAD, checked_sample, collate
from data.standard import is_standard
from data.workers import Handover, batches_of, begin_worker, no_word_of_cores
from util.errors import BadImage, UserError, warn
from util.labels.table import Labels
from util.lazy import torch
from util.record import counted
from util.seed import mix, seeded
from util.tensors import tensors_in, with_tensors

Position = tuple[int, int]  # (epoch, index of the sample)


@dataclass(frozen=True)
class Order:
    """Which samples an epoch has, and in which order.

    Args:
        shuffle: by (seed, epoch); else as the dataset has them.
        max_dataset_size: use the first so many samples only.
        rank, world_size: of this process among those of the run, which share each epoch.
    """

    seed: int
    shuffle: bool
    max_dataset_size: float = float("inf")
    rank: int = 0
    world_size: int = 1


@dataclass(frozen=True)
class Reading:
    """How samples are read.

    Args:
        num_threads: worker processes, 0 = load in this process. They change nothing but speed.
        bad_images: "stop" raises at the first; "skip" notes it in `Loader.bad`, with a warning, and
            goes on: with the next sample in its place if replace_bad, else with a smaller batch.
        device: where images become floats; those of our own datasets go to a GPU as bytes.
        singles: give lists of samples, which `Loader.collate` makes batches of.
    """

    num_threads: int = 0
    bad_images: str = "stop"
    replace_bad: bool = True
    device: str | torch.device = "cpu"
    singles: bool = False


class EpochSampler:
    """The order of one epoch, split among the processes of a run.

    The epoch travels with each index, so that workers which live through all epochs know it. All
    processes take equal steps: what is missing is filled up from the start of the order. Of 7
    samples, two processes take 4 each, and the first of the order comes twice.

    Args:
        size: samples in the dataset.
    """

    def __init__(self, size: int, order: Order) -> None:
        self.order = order
        self.size = int(min(size, order.max_dataset_size))  # samples in use
        self.epoch = 1
        self.start = 0  # steps of this epoch that a resumed run has already taken
        self.steps_per_image = 1  # times in a row that each sample is yielded

    def __len__(self) -> int:
        steps = self.size * self.steps_per_image
        return math.ceil(steps / self.order.world_size) - self.start

    def __iter__(self) -> Iterator[Position]:
        order, places = self.order, list(range(self.size))
        if order.shuffle:
            generator = torch.Generator().manual_seed(mix(order.seed, self.epoch))
            places = torch.randperm(self.size, generator=generator).tolist()
        for step in range(self.start, self.start + len(self)):
            number = (step * order.world_size + order.rank) // self.steps_per_image
            yield self.epoch, places[number % self.size]


class SeededDataset:
    """Draws each sample under seeds of its own, which plug-in datasets gain without knowing.

    A UserError becomes a sample that carries its message: workers would bury it in a trace. With
    `skip` a bad image is noted in its sample; with `replace` the next sample is there in its
    place, otherwise none.

    Args:
        make: from an index to its sample.
        name: of the dataset's class, for messages.
        size: samples in use.
    """

    def __init__(
        self,
        make: Callable[[int], dict],
        name: str,
        seed: int,
        size: int,
        skip: bool,
        replace: bool,
    ) -> None:
        self.make, self.name, self.seed, self.size = make, name, seed, size
        self.skip, self.replace = skip, replace

    def __getitem__(self, position: Position) -> dict:
        epoch, index = position
        bad: dict[str, str] = {}
        for place in range(index, index + (self.size if self.replace else 1)):
            try:
                with seeded(mix(self.seed, epoch, place % self.size)):
                    sample = checked_sample(self.make(place % self.size), self.name)
                return sample | ({BAD: bad} if bad else {})
            except BadImage as error:
                if not self.skip:
                    return {"error": str(error)}
                bad[error.path] = str(error)
            except UserError as error:
                return {"error": str(error)}
        if not self.replace:
            return {BAD: bad}
        return {"error": f"no image can be used; {next(iter(bad.values()))}"}


def checked(batch: dict) -> dict:
    """The batch; the error that it carries is raised, here in the main process."""
    if "error" in batch:
        raise UserError(batch["error"])
    return batch


class Loader:
    """Iterates over the batches of an epoch; `len()` counts images, each as often as it is yielded.

    Args:
        dataset: yields dicts; tensors are stacked, strings become lists.
        sizes: of the images, see `data.check`.
    """

    def __init__(
        self,
        dataset: torch.utils.data.Dataset,
        batch_size: int,
        order: Order,
        reading: Reading | None = None,
        sizes: dict[tuple[int, int], str] | None = None,
    ) -> None:
        reading = reading or Reading()
        self.dataset, self.batch_size, self.sizes = dataset, batch_size, sizes or {}
        self.singles, self.num_threads = reading.singles, reading.num_threads
        self.device = torch.device(reading.device)
        self.bad: dict[str, str] = {}  # file -> what is wrong with it
        self.workers: list[BaseProcess] = []
        self.sampler = EpochSampler(len(dataset), order)
        make, normalize = dataset.__getitem__, None
        on_cpu = self.device.type == "cpu"
        if is_standard(make) and not (on_cpu and reading.singles):
            make, normalize = functools.partial(_before_normalize, dataset), dataset.normalize
        # On a CPU by whoever reads the images, which costs the training no time.
        self.normalize = None if on_cpu else normalize
        name = type(dataset).__name__
        on_stacking = normalize if on_cpu else None
        self.stack = functools.partial(collate, normalize=on_stacking, dataset=name)
        skip = reading.bad_images == "skip"
        together = 1 if reading.singles else batch_size  # that a worker hands over
        workers = min(reading.num_threads, math.ceil(len(self) / together))
        with no_word_of_cores():
            self.loader = torch.utils.data.DataLoader(
                SeededDataset(make, name, order.seed, self.sampler.size, skip, reading.replace_bad),
                batch_size=together,
                sampler=self.sampler,
                num_workers=workers,
                persistent_workers=workers > 0,
                pin_memory=self.device.type == "cuda",  # for copies that do not wait
                collate_fn=Handover(list if reading.singles else self.stack),
                generator=torch.Generator(),  # keeps the run's own random stream out of it
                worker_init_fn=begin_worker,
            )

    def remember_files(self, run_dir: str) -> None:
        """Keep in a run's folder which files it is trained on; warn if these have changed."""
        files_record.remember(run_dir, self.dataset.checked_files(), self.dataset.root)

    @property
    def labels(self) -> dict[str, Labels]:
        """Side -> its classes, of the sides that are label maps, in the colours of a page."""
        return self.dataset.shown_labels() if hasattr(self.dataset, "shown_labels") else {}

    def repeat_samples(self, steps_per_image: int) -> None:
        """Yield each sample so many times in a row: the model tells how many steps it takes."""
        self.sampler.steps_per_image = steps_per_image

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the epoch, and how many of its steps (of this process) to leave out."""
        self.sampler.epoch, self.sampler.start = epoch, start

    def peek(self) -> dict:
        """The first batch of the chosen epoch that holds an image, read in this process."""
        positions = iter(self.sampler)
        while chosen := list(itertools.islice(positions, self.loader.batch_size)):
            batch = checked(self.stack([self.loader.dataset[position] for position in chosen]))
            bad = batch.pop(BAD, {})
            if batch:
                return self._on_device(batch)
        raise UserError(f"no image can be used; {next(iter(bad.values()))}")

    def first(self) -> dict:
        """The first batch of epoch 1, whichever is chosen: alike in all sessions of a run."""
        chosen = self.sampler.epoch, self.sampler.start
        self.set_epoch(1)
        try:
            return self.peek()
        finally:
            self.set_epoch(*chosen)

    def limit(self, images: float) -> int:
        """Use at most so many images from now on. Returns: how many."""
        self.sampler.size = int(min(self.sampler.size, images))
        return self.sampler.size

    def __len__(self) -> int:
        return self.sampler.size * self.sampler.steps_per_image

    @property
    def unit(self) -> str:
        """What `len()` counts: images, or steps where many are taken on each image."""
        return "images" if self.sampler.steps_per_image == 1 else "steps"

    def describe(self) -> str:
        """How long an epoch is."""
        steps = f", {counted(self.sampler.steps_per_image, 'step')} each" * (self.unit == "steps")
        return f"{counted(self.sampler.size, 'image')} an epoch{steps}"

    def describe_bad(self) -> str:
        """How many images were left out, and the first of them; empty if none."""
        if not self.bad:
            return ""
        names = ", ".join(list(self.bad)[:5]) + (", ..." if len(self.bad) > 5 else "")
        return f" without {len(self.bad)} bad images ({names})"

    def __iter__(self) -> Iterator[dict] | Iterator[list[dict]]:
        with contextlib.closing(batches_of(self.loader, self.workers)) as batches:
            if self.singles:
                yield from self._lists(itertools.chain.from_iterable(batches))
                return
            for batch in batches:
                self._note(batch.pop(BAD, {}))
                if batch:
                    yield self._on_device(checked(batch))

    def _lists(self, samples: Iterator[dict]) -> Iterator[list[dict]]:
        """Lists of `batch_size` samples; a shorter one before an error, and at the end."""
        good: list[dict] = []
        try:
            for sample in samples:
                self._note(sample.pop(BAD, {}))
                if sample:
                    good.append(checked(sample))
                if len(good) == self.batch_size:
                    yield good
                    good = []
        except UserError:
            if good:
                yield good
            raise
        if good:
            yield good

    def collate(self, samples: list[dict]) -> dict:
        """The batch of samples that `singles` gave, of one size, as the loader would have it."""
        return self._on_device(checked(self.stack(samples)))

    @functools.cached_property
    def stream(self) -> torch.cuda.Stream | None:
        """Where batches go to a GPU while it still computes the step before."""
        return torch.cuda.Stream(self.device) if self.device.type == "cuda" else None

    def _on_device(self, batch: dict) -> dict:
        """With what is left to do: to normalize on a GPU what came there as bytes."""
        if self.normalize is None:
            return batch
        if self.stream is None:
            return self._normalized(batch)
        with torch.cuda.stream(self.stream):
            batch = self._normalized(batch)
        computing = torch.cuda.current_stream(self.device)
        computing.wait_stream(self.stream)
        for tensor in tensors_in(batch):
            if tensor.is_cuda:
                tensor.record_stream(computing)  # its memory is in use until that has passed
        return batch

    def _normalized(self, batch: dict) -> dict:
        to_device = functools.partial(torch.Tensor.to, device=self.device, non_blocking=True)
        return self.normalize(with_tensors(batch, to_device))

    def _note(self, bad: dict[str, str]) -> None:
        for path, why in bad.items():
            if path not in self.bad:
                self.bad[path] = why
                warn(f"{why}; left out (--bad_images skip, number {len(self.bad)})")


def _before_normalize(dataset: torch.utils.data.Dataset, index: int) -> dict:
    return dataset.augment(dataset.load(index))
